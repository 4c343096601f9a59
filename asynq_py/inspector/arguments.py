"""What callers of the Inspector say, checked: which tasks, and which page of them."""

from __future__ import annotations

from typing import Final

from asynq_py.broker.inspection import Place
from asynq_py.errors import InvalidOptionError
from asynq_py.options import check_name
from asynq_py.wire.state import TaskState

LONGEST_PAGE: Final = 10_000


def place_of(queue: str, state: TaskState, group: str | None = None) -> Place:
    check_name("queue", queue)
    if state is TaskState.AGGREGATING:
        return Place(queue, state, check_name("group", group))
    if group is not None:
        raise InvalidOptionError("group", group, "only with the state aggregating")
    return Place(queue, state)


def some(page: int, size: int) -> tuple[int, int]:
    """Where a page begins, and how much is in it. Pages count from 1."""
    count = whole("size", size, LONGEST_PAGE)
    return (whole("page", page) - 1) * count, count


def state_of(state: TaskState | str) -> TaskState:
    try:
        return TaskState(state)
    except ValueError:
        raise InvalidOptionError("state", state, f"one of {', '.join(TaskState)}") from None


def whole(option: str, value: object, most: int = 10**9) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidOptionError(option, value, f"a whole number from 1 to {most}")
    return value
