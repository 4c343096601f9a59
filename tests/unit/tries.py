"""A task as handlers see it, with no server behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from asynq_py.active_task import ActiveTask, CancelReason
from asynq_py.wire.messages import TaskMessage

T = TypeVar("T")


class Try:
    """Stands for the server's side of a try; plain functions are called on the spot."""

    deadline = 1767323075.0
    crashes = 0
    pending_since: bytes | None = None
    cancel_reason: CancelReason | None = None

    def __init__(self) -> None:
        self.results: list[bytes] = []
        self.in_threads = 0
        self.reports: list[tuple[float, float | None, str | None]] = []
        self.is_closing = False

    def report(self, done: float, total: float | None, note: str | None) -> None:
        self.reports.append((done, total, note))

    def begin_closing(self) -> None:
        self.is_closing = True

    async def write_result(self, data: bytes) -> None:
        self.results.append(data)

    async def run_in_thread(self, function: Callable[[ActiveTask], T], task: ActiveTask) -> T:
        self.in_threads += 1
        return function(task)


def active_task(
    type: str = "t",
    payload: bytes = b"",
    *,
    attempt: Try | None = None,
    retried: int = 0,
    headers: Mapping[str, str] | None = None,
) -> ActiveTask:
    message = TaskMessage(
        type=type,
        payload=payload,
        id="id1",
        queue="default",
        retry=25,
        retried=retried,
        headers={"k": "v"} if headers is None else headers,
    )
    return ActiveTask(message, attempt or Try())
