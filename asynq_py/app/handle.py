"""TaskHandle: a task that was enqueued: how it stands, what it returned, an end to it."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar, cast

from asynq_py.app.connections import Connections
from asynq_py.app.signature import Signature
from asynq_py.errors import InvalidOptionError, QueueNotFoundError, TaskFailedError, TaskNotFoundError
from asynq_py.info import TaskInfo
from asynq_py.options import Duration, check_seconds
from asynq_py.progress import Progress
from asynq_py.wire.state import TaskState

R_co = TypeVar("R_co", covariant=True)


class TaskHandle(Generic[R_co]):
    """A task in a queue. For use in the event loop that made it.

    `is_new`: False where `on_conflict` gave a task that was there before, in place of the one to enqueue.

    All methods raise TaskNotFoundError when the task is gone: deleted, revoked, or forgotten after its
    success; and BrokerUnavailableError.
    """

    def __init__(
        self,
        connections: Connections,
        signature: Signature,
        *,
        task_id: str,
        queue: str,
        task_type: str,
        keeps_result: bool,
        is_new: bool = True,
    ) -> None:
        self._connections = connections
        self._signature = signature
        self._keeps_result = keeps_result
        self.id = task_id
        self.queue = queue
        self.type = task_type
        self.is_new = is_new

    async def result(self, timeout: Duration | None = None) -> R_co:
        """Wait until the task is done, and return what its function returned.

        `timeout`: seconds, or a timedelta, to wait at most; the task goes on all the same.

        Raises: TimeoutError. TaskFailedError: it failed for good. InvalidOptionError: it keeps no result, as
        it was enqueued without `retention` and without `wait=True`. PayloadError: its result is of another
        type.
        """
        if not self._keeps_result:
            raise InvalidOptionError(
                "retention", 0, "the result is kept only with `retention`, or `.options(wait=True)`"
            )
        seconds = None if timeout is None else check_seconds("timeout", timeout)
        try:
            async with asyncio.timeout(seconds):
                info = await self._connections.waiting.ended(self.queue, self.id)
        except TimeoutError:
            raise TimeoutError(
                f"task {self.id!r} in queue {self.queue!r} was not done within {seconds:g} s"
            ) from None
        if info.state is TaskState.ARCHIVED:
            raise TaskFailedError(self.queue, self.id, info.last_error or "archived by hand")
        return cast(R_co, self._signature.load_result(self.type, info.result))

    async def info(self) -> TaskInfo:
        """Look at the task."""
        try:
            return await self._connections.inspector.task_info(self.queue, self.id)
        except QueueNotFoundError:  # nothing was ever put into it
            raise TaskNotFoundError(self.queue, self.id) from None

    async def progress(self) -> Progress | None:
        """Say how far the task has come, as its function last reported it by `current_task().progress(…)`."""
        return (await self.info()).progress

    async def status(self) -> TaskState:
        """Say where the task stands."""
        return (await self.info()).state

    async def cancel(self) -> bool:
        """Delete the task while it waits; ask its worker to end it when it runs.

        Returns True when it was deleted, so it will not run. False: it was running, and what becomes of it is
        up to its handler and its retries; or it had ended, and nothing was done.
        """
        try:
            return await self._connections.inspector.cancel_task(self.queue, self.id)
        except QueueNotFoundError:
            raise TaskNotFoundError(self.queue, self.id) from None

    def __repr__(self) -> str:
        return f"<TaskHandle {self.type} {self.id} in {self.queue!r}>"
