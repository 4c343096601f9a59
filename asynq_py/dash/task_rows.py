"""A task as a row: what matters in its state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from asynq_py import TaskInfo, TaskState
from asynq_py.cli.wording import NOTHING, content, when
from asynq_py.dash.cells import COLOURS, cell
from asynq_py.dash.how_far import short

COLUMNS: Final = ("id", "type", "payload", "tries", "when", "about")
LONGEST: Final = 40  # characters of a payload or error in a row


def row(info: TaskInfo, now: datetime) -> Sequence[Text]:
    return [
        cell(info.id, COLOURS[info.state]),
        cell(info.type, "bold"),
        cell(_short(content(info.payload[: 4 * LONGEST]))),
        cell(f"{info.retried}/{info.max_retry}", "" if info.retried else "dim"),
        cell(_when(info, now)),
        about(info),
    ]


def _when(info: TaskInfo, now: datetime) -> str:
    match info.state:
        case TaskState.SCHEDULED | TaskState.RETRY:
            return when(info.next_process_at, now)
        case TaskState.COMPLETED:
            return when(info.completed_at, now)
        case TaskState.ARCHIVED:
            return when(info.last_failed_at, now)
        case _:
            return NOTHING


def about(info: TaskInfo) -> Text:
    if info.is_orphaned:
        return cell("its worker is lost", "red")
    if info.state is TaskState.ACTIVE and info.progress is not None:
        return short(info.progress)
    if info.state is TaskState.COMPLETED and info.result:
        return cell(
            _short(f"result {content(info.result[: 4 * LONGEST])}"), "red" if info.last_error else "dim"
        )
    return cell(_short(info.last_error or ""), "red" if info.last_error else "dim")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
