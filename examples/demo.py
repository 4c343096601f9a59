"""A mixed load, watched while it runs, and the books at the end: what became of every single task.

`make demo` runs it on an embedded server; with $ASYNQ_REDIS_URL set, on that one, in queues of its own.
Everything shown is asked of Redis, task by task.
"""

import asyncio
import json
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from asynq_py import (
    ActiveTask,
    Client,
    DuplicateTaskError,
    Inspector,
    ServeMux,
    Server,
    SkipRetry,
    Task,
    TaskInfo,
    TaskNotFoundError,
    TaskState,
)

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

QUEUES = {"demo:critical": 6, "demo:default": 3, "demo:low": 1}
WORKERS = 10
PATIENCE = 18.0  # seconds after which the demo gives up
KEEP = 600  # seconds for which Redis remembers a finished task, so that it can be asked

# -- the work: stand-ins for mails, payments and pictures ----------------------------------------------------

mux = ServeMux()


@mux.handler("email:welcome")
async def send_email(task: ActiveTask) -> None:
    await asyncio.sleep(random.uniform(0.1, 0.3))


@mux.handler("payment:capture")
async def capture_payment(task: ActiveTask) -> None:
    """Some payments fail once or twice before they succeed."""
    await asyncio.sleep(random.uniform(0.05, 0.15))
    if task.retried < task.json()["failures"]:
        raise ConnectionError("no answer")


@mux.handler("image:resize")
def resize_image(task: ActiveTask) -> None:
    """A plain function: it runs in a thread, and may block."""
    time.sleep(random.uniform(0.2, 0.5))


@mux.handler("report:build")
async def build_report(task: ActiveTask) -> None:
    await asyncio.sleep(0.2)
    await task.write_result(json.dumps({"rows": random.randint(100, 999)}).encode())


@mux.handler("import:file")
async def import_file(task: ActiveTask) -> None:
    raise SkipRetry("row 17 has no price")


@mux.handler("webhook:call")
async def call_webhook(task: ActiveTask) -> None:
    raise TimeoutError("nobody is at home")


@mux.handler("video:encode")
async def encode_video(task: ActiveTask) -> None:
    await asyncio.sleep(3600)


def make_load(run: str) -> list[Task]:
    critical, default, low = QUEUES
    load = [Task("email:welcome", {"user": n}, queue=default) for n in range(200)]
    for n in range(48):
        failures = {0: 1, 1: 2}.get(n % 8, 0)  # a quarter of them are flaky
        load.append(Task("payment:capture", {"order": n, "failures": failures}, queue=critical, max_retry=5))
    load += [Task("image:resize", {"picture": n}, queue=low) for n in range(36)]
    load += [Task("report:build", {"month": n}, queue=default, process_in=2 + n % 4) for n in range(12)]
    load += [Task("import:file", {"file": "prices.csv"}, queue=default)]
    load += [Task("webhook:call", {"url": "…"}, queue=default, max_retry=1)]
    load += [Task("video:encode", {"film": 1}, queue=low, max_retry=0)]
    random.shuffle(load)
    # twice the same: the second is refused, as long as the first is there
    load += [Task("report:build", {"year": run}, queue=low, unique=60, process_in=3)] * 2
    return load


# -- the books -----------------------------------------------------------------------------------------------


@dataclass
class Entry:
    """A task we handed in: was it refused, and what did Redis say of it last?"""

    type: str
    queue: str
    id: str
    is_refused: bool
    info: TaskInfo | None = None

    @property
    def ending(self) -> str:
        """finished, archived or refused: accounted for. Anything else is not."""
        match self:
            case Entry(is_refused=True, info=None):
                return "refused"
            case Entry(is_refused=False, info=TaskInfo(state=TaskState.COMPLETED)):
                return "finished"
            case Entry(is_refused=False, info=TaskInfo(state=TaskState.ARCHIVED)):
                return "archived"
            case Entry(is_refused=False, info=TaskInfo()):
                return "unfinished"
            case _:
                return "astray"  # accepted, but Redis knows nothing of it; or refused, and it does


ACCOUNTED = ("finished", "archived", "refused")


async def hand_in(client: Client, load: Iterable[Task]) -> list[Entry]:
    """Enqueue all at once; calls that run concurrently share round trips."""

    async def one(task: Task) -> Entry:
        try:
            info = await client.enqueue(task, retention=KEEP)
        except DuplicateTaskError as error:
            return Entry(task.type, error.queue, error.task_id, is_refused=True)
        return Entry(task.type, info.queue, info.id, is_refused=False, info=info)

    return await asyncio.gather(*map(one, load))


async def look_up(inspector: Inspector, entries: Iterable[Entry]) -> None:
    """Ask Redis for every task by its ID."""

    async def one(entry: Entry) -> None:
        try:
            entry.info = await inspector.task_info(entry.queue, entry.id)
        except TaskNotFoundError:
            entry.info = None

    await asyncio.gather(*map(one, entries))


def is_over(entries: Sequence[Entry]) -> bool:
    return not any(entry.ending == "unfinished" for entry in entries)


def balances(entries: Sequence[Entry]) -> bool:
    """Is every task accounted for?"""
    return all(entry.ending in ACCOUNTED for entry in entries)


def books(entries: Sequence[Entry], seconds: float) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"The books, as Redis keeps them, after {seconds:.1f} s",
        title_style="bold",
        padding=(0, 1, 0, 0),
    )
    table.add_column("task", no_wrap=True, min_width=16)
    for name in ("handed in", *ACCOUNTED, "retries", "results"):
        table.add_column(name, justify="right")
    for kind in sorted({entry.type for entry in entries}):
        table.add_row(kind, *_line([entry for entry in entries if entry.type == kind]))
    table.add_section()
    table.add_row("all", *_line(entries), style="bold")
    return table


def _line(entries: Sequence[Entry]) -> list[str]:
    endings = Counter(entry.ending for entry in entries)
    known = [entry.info for entry in entries if entry.info is not None]
    numbers = [
        len(entries),
        *(endings[name] for name in ACCOUNTED),
        sum(info.retried for info in known),
        sum(info.result is not None for info in known),
    ]
    return [str(number) if number else "·" for number in numbers]


def verdict(entries: Sequence[Entry]) -> Text:
    endings = Counter(entry.ending for entry in entries)
    good = " + ".join(f"{endings[name]} {name}" for name in ACCOUNTED)
    if balances(entries):
        return Text(f" ✓ {len(entries)} handed in = {good}; none is missing", style="bold green")
    bad = " + ".join(f"{endings[name]} {name}" for name in ("unfinished", "astray") if endings[name])
    return Text(f" ✗ {len(entries)} handed in = {good}\n   and {bad}", style="bold red")


# -- the view ------------------------------------------------------------------------------------------------

STATES = {
    TaskState.COMPLETED: ("finished", "green"),
    TaskState.ARCHIVED: ("archived", "red"),
    TaskState.ACTIVE: ("running", "bright_yellow"),
    TaskState.RETRY: ("to be retried", "magenta"),
    TaskState.PENDING: ("waiting", "grey42"),
    TaskState.SCHEDULED: ("scheduled", "blue"),
}
BAR = 42


def view(entries: Sequence[Entry], news: Sequence[Text], seconds: float) -> Group:
    """One bar per queue, what the colours mean, and the latest events."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("queue")
    table.add_column("weight", justify="right")
    table.add_column("tasks", width=BAR)
    table.add_column("left", justify="right")
    for queue, weight in QUEUES.items():
        states = _states(entry for entry in entries if entry.queue == queue)
        left = sum(states.values()) - states[TaskState.COMPLETED] - states[TaskState.ARCHIVED]
        table.add_row(queue, str(weight), _bar(states), str(left))
    states = _states(entries)
    legend = Table.grid(padding=(0, 4, 0, 0))
    squares = [
        Text.assemble(("■ ", colour), f"{states[state]:3} {name}") for state, (name, colour) in STATES.items()
    ]
    legend.add_row(*squares[:3])
    legend.add_row(*squares[3:])
    head = Text.assemble(("asynq-py demo", "bold"), f"  {WORKERS} workers, {seconds:.1f} s", "\n")
    return Group(head, table, Text(), legend, Text(), *news[-5:])


def _states(entries: Iterable[Entry]) -> Counter[TaskState]:
    return Counter(entry.info.state for entry in entries if entry.info is not None)


def _bar(states: Counter[TaskState]) -> Text:
    """Split the width by largest remainder of the running sum, so that it is always exactly full."""
    total, seen, drawn, bar = sum(states.values()) or 1, 0, 0, Text()
    for state, (_, colour) in STATES.items():
        seen += states[state]
        end = round(BAR * seen / total)
        bar.append("━" * (end - drawn), style=colour)
        drawn = end
    return bar


def changes(entries: Sequence[Entry], before: dict[str, TaskState]) -> list[Text]:
    """What is worth telling since the last look: failures and unusual ends, like ones together."""
    told: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        info = entry.info
        if info is None or before.get(entry.id) is info.state:
            continue
        before[entry.id] = info.state
        if info.state is TaskState.RETRY:
            told[f"{entry.type} failed, to be retried: {info.last_error}", "magenta"] += 1
        elif info.state is TaskState.ARCHIVED:
            told[f"{entry.type} archived: {info.last_error}", "red"] += 1
    return [Text(f"{n} times: {text}" if n > 1 else text, style=colour) for (text, colour), n in told.items()]


class Screen:
    """A live picture on a terminal; elsewhere a line for each event, and each second how far we are."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._news: list[Text] = []
        self._last_line = 0.0

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, *news: Text) -> None:
        for line in news:
            line.truncate(78, overflow="ellipsis")
            self._news.append(line)
            if not self._console.is_terminal:
                self._console.print(line)

    def show(self, entries: Sequence[Entry], seconds: float) -> None:
        if self._console.is_terminal:
            self._live.update(Padding(view(entries, self._news, seconds), (1, 1)), refresh=True)
        elif seconds - self._last_line >= 1.0:
            self._last_line = seconds
            over = sum(entry.ending in ACCOUNTED for entry in entries)
            self._console.print(f"{seconds:4.1f} s: {over} of {len(entries)} tasks have ended")


# -- the run -------------------------------------------------------------------------------------------------


async def watch(inspector: Inspector, entries: Sequence[Entry], screen: Screen, started: float) -> None:
    """Look at all tasks several times a second, until all have ended. Cancels the video on the way."""
    before: dict[str, TaskState] = {}
    has_cancelled = False
    while True:
        await look_up(inspector, entries)
        seconds = time.monotonic() - started
        screen.tell(*changes(entries, before))
        screen.show(entries, seconds)
        if is_over(entries) or seconds > PATIENCE:
            return
        video = next(entry for entry in entries if entry.type == "video:encode")
        if seconds > 3 and not has_cancelled and before.get(video.id) is TaskState.ACTIVE:
            has_cancelled = True
            await inspector.cancel_processing(video.id)
            screen.tell(Text("video:encode takes too long: asked to cancel it", style="yellow"))
        await asyncio.sleep(0.1)


async def main(console: Console) -> bool:
    logging.getLogger("asynq_py").addHandler(logging.NullHandler())  # its warnings would tear the picture
    server = Server(
        None,
        mux,
        concurrency=WORKERS,
        queues=QUEUES,
        retry_delay=lambda failures, error, task: 1.0,
        shutdown_timeout=1.0,
    )
    started = time.monotonic()
    async with Client() as client, Inspector() as inspector:
        entries = await hand_in(client, make_load(str(uuid4())))
        with Screen(console) as screen:
            for entry in entries:
                if entry.is_refused:
                    screen.tell(
                        Text(f"{entry.type} refused: the same task is queued already", style="yellow")
                    )
            async with server:
                await watch(inspector, entries, screen, started)
        await look_up(inspector, entries)  # once more, now that no worker runs
    console.print(books(entries, time.monotonic() - started))
    console.print(verdict(entries))
    return balances(entries)


if __name__ == "__main__":
    try:
        sys.exit(0 if asyncio.run(main(Console())) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
