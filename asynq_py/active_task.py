"""What a handler may know of its task, and do with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from asynq_py.clock import instant
from asynq_py.errors import AsynqError, InvalidOptionError
from asynq_py.tracebacks import one_line
from asynq_py.wire.messages import TaskMessage

T = TypeVar("T")


class CancelReason(StrEnum):
    """Why a handler is being cancelled."""

    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"


class TryOfTask(Protocol):
    """What stands behind an ActiveTask: the server's side of the same try."""

    @property
    def deadline(self) -> float: ...

    @property
    def crashes(self) -> int: ...

    @property
    def pending_since(self) -> bytes | None: ...

    @property
    def cancel_reason(self) -> CancelReason | None: ...

    def begin_closing(self) -> None: ...

    def report(self, done: float, total: float | None, note: str | None) -> None: ...

    async def write_result(self, data: bytes) -> None: ...

    async def run_in_thread(self, function: Callable[[ActiveTask], T], task: ActiveTask) -> T: ...


class ActiveTask:
    """One try of one task, as its handler sees it."""

    __slots__ = ("_message", "_try")

    def __init__(self, message: TaskMessage, attempt: TryOfTask) -> None:
        self._message = message
        self._try = attempt

    @property
    def id(self) -> str:
        return self._message.id

    @property
    def type(self) -> str:
        return self._message.type

    @property
    def queue(self) -> str:
        return self._message.queue

    @property
    def payload(self) -> bytes:
        """The payload as it was sent; empty if there is none."""
        return self._message.payload

    def json(self) -> Any:
        """Decode the payload as JSON. Raises: ValueError: it is none."""
        return json.loads(self._message.payload)

    @property
    def headers(self) -> Mapping[str, str]:
        return dict(self._message.headers)

    @property
    def retried(self) -> int:
        """How many tries have failed before this one."""
        return self._message.retried

    @property
    def last_error(self) -> str | None:
        """What the try before this one failed with; None if none failed."""
        return self._message.error_msg or None

    @property
    def last_failed_at(self) -> datetime | None:
        """When that was."""
        failed_at = self._message.last_failed_at
        return instant(failed_at) if failed_at else None

    @property
    def max_retry(self) -> int:
        return self._message.retry

    @property
    def group(self) -> str | None:
        return self._message.group_key or None

    @property
    def retention(self) -> int:
        """Seconds for which the task, and its result, is kept once it has succeeded; 0: not at all."""
        return self._message.retention

    @property
    def crashes(self) -> int:
        """How many workers were lost while running this task; if any, it may have been done in part."""
        return self._try.crashes

    @property
    def pending_since(self) -> datetime | None:
        """Since when it waited to be taken: when it was enqueued, or came back from a delay or a failed try.

        None if it is not known.
        """
        nanoseconds = self._try.pending_since or b""
        is_known = nanoseconds.isdigit() and len(nanoseconds) < 20  # anyone may write there
        return instant(int(nanoseconds) / 1e9) if is_known else None

    @property
    def deadline(self) -> datetime:
        """When this try is cancelled."""
        return instant(self._try.deadline)

    @property
    def cancel_reason(self) -> CancelReason | None:
        """Why this try is being cancelled, else None. A plain function may look at it and give up."""
        return self._try.cancel_reason

    async def write_result(self, data: bytes) -> None:
        """Keep a result with the task, replacing an earlier one; it lasts as long as the task (`retention`).

        Raises: InvalidOptionError: no bytes, or above the server's `result_limit`; an earlier result stays.
        LeaseExpiredError: the task is not ours any more. BrokerUnavailableError.
        """
        if not isinstance(data, bytes):
            raise InvalidOptionError("result", type(data), "bytes")
        await self._try.write_result(data)

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Say how far the task has come: `done` of `total`, in whatever you count, and perhaps a few words.

        From plain functions, too, and as often as you like: the first report is written, the last one, and
        between them one every half second. It is told by `TaskInfo.progress`, until another try begins. When
        Redis is away, or the task is not ours any more, it is not written, and nothing is raised.

        Raises: InvalidOptionError: no such numbers.
        """
        self._try.report(done, total, note)

    async def run_in_thread(self, function: Callable[[ActiveTask], T]) -> T:
        """Call a plain function with this task in a worker thread of the server, and wait for it to end.

        A thread cannot be stopped: when the try is cancelled meanwhile, the function's own end decides.
        """
        return await self._try.run_in_thread(function, self)

    def begin_closing(self) -> None:
        """Say that the work has ended, and only what it used is being closed.

        A cancelation is repeated until the handler ends. From now on it is not, before the server's
        `cancel_grace` is over: what closes may wait in peace.
        """
        self._try.begin_closing()

    def __repr__(self) -> str:
        name = f"{one_line(self.type)} {one_line(self.id)}"
        return f"<ActiveTask {name} in {self.queue!r}, try {self.retried + 1}>"


_current: ContextVar[ActiveTask] = ContextVar("asynq_py_current_task")


def current_task() -> ActiveTask:
    """Return the task being handled here.

    Raises: AsynqError: the caller was not called by a handler.
    """
    try:
        return _current.get()
    except LookupError:
        raise AsynqError("no task is being handled here") from None


def set_current_task(task: ActiveTask) -> None:
    """Say what the present asyncio task handles. For the server; each try runs in a context of its own."""
    _current.set(task)
