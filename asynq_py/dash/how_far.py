"""How far running tasks have come: lists do not tell it, so each task of a page is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from rich.text import Text

from asynq_py import AsynqError, BrokerError, BrokerUnavailableError, Inspector, Progress, TaskInfo
from asynq_py.cli.wording import printable

WIDTH: Final = 10  # characters of a bar in a row
NOTE: Final = 40  # characters of a note in a row


class Place(NamedTuple):
    """Where a task is."""

    queue: str
    task_id: str


async def looked_up(inspector: Inspector, places: Iterable[Place]) -> dict[str, TaskInfo]:
    """Look at each task, all in one round trip, so let them be no more than a page. Those that are gone are
    left out.
    """

    async def one(place: Place) -> TaskInfo | None:
        try:
            return await inspector.task_info(place.queue, place.task_id)
        except (BrokerUnavailableError, BrokerError):
            raise
        except AsynqError:  # it is gone, or its name or message is none
            return None

    infos = await asyncio.gather(*map(one, places))
    return {info.id: info for info in infos if info is not None}


def bar(fraction: float, width: int) -> str:
    """`███░░`. Only what is all done is full, and only what has not begun is empty."""
    full = round(fraction * width)
    if 0 < fraction < 1:
        full = min(max(full, 1), width - 1)
    return "█" * full + "░" * (width - full)


def short(progress: Progress | None) -> Text:
    """`████░░░░░░ 40% page 4`, for a row."""
    if progress is None:
        return Text()
    note = printable(progress.note or "")
    if len(note) > NOTE:
        note = f"{note[: NOTE - 1]}…"
    if progress.fraction is None:
        shown = Text(f"{progress.done:g}", "blue")
    else:
        shown = Text.assemble((bar(progress.fraction, WIDTH), "blue"), f" {progress.fraction:.0%}")
    if note:
        shown.append(f" {note}", "dim")
    shown.no_wrap, shown.overflow = True, "ellipsis"
    return shown
