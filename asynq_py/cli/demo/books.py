"""The books: what became of every single task, as Redis says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from asynq_py import Client, DuplicateTaskError, Inspector, Task, TaskInfo, TaskNotFoundError, TaskState

KEEP: Final = 600  # seconds for which Redis remembers a finished task, so that it can be asked


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


ACCOUNTED: Final = ("finished", "archived", "refused")


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
