"""The picture: how far the tasks are, and the latest events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from asynq_py import TaskState
from asynq_py.cli.demo.books import ACCOUNTED, Entry
from asynq_py.cli.demo.load import QUEUES

WORKERS: Final = 10
STATES: Final[Mapping[TaskState, tuple[str, str]]] = {
    TaskState.COMPLETED: ("finished", "green"),
    TaskState.ARCHIVED: ("archived", "red"),
    TaskState.ACTIVE: ("running", "bright_yellow"),
    TaskState.RETRY: ("to be retried", "magenta"),
    TaskState.PENDING: ("waiting", "grey42"),
    TaskState.SCHEDULED: ("scheduled", "blue"),
}
BAR: Final = 42


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

    def __enter__(self) -> Self:
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
