"""Eager: tasks run where they are enqueued, at once and without any server, by way of their payloads."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from asynq_py.active_task import ActiveTask, CancelReason, set_current_task
from asynq_py.app.connections import Connections
from asynq_py.app.executors import Place, Processes
from asynq_py.app.waiting import Waiting
from asynq_py.client_middleware import ClientMiddleware, EnqueueCall
from asynq_py.clock import SystemClock, instant
from asynq_py.errors import AsynqError, EnqueueError, HandlerNotFoundError, RevokeTask, TaskNotFoundError
from asynq_py.handler import AsyncHandler
from asynq_py.info import TaskInfo, task_info
from asynq_py.inspector import Inspector
from asynq_py.submission import submission
from asynq_py.task import Task
from asynq_py.task_ids import TaskIDs
from asynq_py.testing.book import Enqueued
from asynq_py.testing.bookkeeper import Bookkeeper
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import decode_task
from asynq_py.wire.state import TaskState

T = TypeVar("T")

NOWHERE: Final = "redis://eager.invalid"  # nothing connects to it; what would, must not reach a real one


class HereAndNow(Processes):
    """In place of processes of their own."""

    async def call(self, place: Place, args: list[Any], kwargs: Mapping[str, Any]) -> Any:
        return place.find()(*args, **kwargs)


class Eager(Bookkeeper):
    """What was enqueued while an app was eager, and what became of it.

    `handler`: makes that of all tasks of the app. `middleware`: of its clients.
    """

    def __init__(self, handler: Callable[[], AsyncHandler], middleware: Sequence[ClientMiddleware]) -> None:
        self._clock = SystemClock()
        super().__init__(self._clock)
        self._make_handler = handler
        self._handler: AsyncHandler | None = None
        self._ids = TaskIDs()
        self._tasks: dict[tuple[str, str], TaskInfo] = {}
        self.middleware = [*middleware, self._run_all]

    def info(self, queue: str, task_id: str) -> TaskInfo:
        """Raises: TaskNotFoundError."""
        try:
            return self._tasks[queue, task_id]
        except KeyError:
            raise TaskNotFoundError(queue, task_id) from None

    async def _run_all(self, tasks: Sequence[Task], call_next: EnqueueCall) -> list[TaskInfo | EnqueueError]:
        """The innermost: nothing goes on to Redis. What a task raises is raised where it was enqueued."""
        return [await self._run(task) for task in tasks]

    async def _run(self, task: Task) -> TaskInfo:
        options, now = task.options, self._clock.time()
        item = submission(
            task,
            options,
            keys=QueueKeys(options.queue),
            task_id=options.task_id or self._ids.next(),
            now=now,
        )
        message = decode_task(item.entry.message, queue=options.queue, task_id=item.entry.id)
        told = task_info(
            message,
            state=item.state,
            next_process_at=None if item.state is TaskState.AGGREGATING else item.process_at,
        )
        key = (told.queue, told.id)
        self._tasks[key] = told
        self._book.add(Enqueued.of(told, instant(now)))
        if self._handler is None:
            self._handler = self._make_handler()
        attempt = EagerTry()
        try:
            await _below(self._handler, ActiveTask(message, attempt))
        except HandlerNotFoundError:
            return told  # it is handled elsewhere
        except RevokeTask:
            del self._tasks[key]
            return told
        ended = replace(told, state=TaskState.COMPLETED, next_process_at=None, result=attempt.result)
        self._tasks[key] = ended
        return told


class EagerTry:
    """What stands behind the ActiveTask. There is no time limit, and no thread but the caller's."""

    deadline = math.inf
    crashes = 0
    pending_since: bytes | None = None
    cancel_reason: CancelReason | None = None

    def __init__(self) -> None:
        self.result: bytes | None = None

    def begin_closing(self) -> None: ...

    def report(self, done: float, total: float | None, note: str | None) -> None: ...

    async def write_result(self, data: bytes) -> None:
        self.result = data

    async def run_in_thread(self, function: Callable[[ActiveTask], T], task: ActiveTask) -> T:
        return function(task)


class EagerConnections(Connections):
    """Stand in for connections to Redis."""

    is_eager = True

    def __init__(self, eager: Eager) -> None:
        super().__init__(NOWHERE, eager.middleware)
        self.inspector: Inspector = EagerInspector(eager)
        self.waiting: Waiting = EagerWaiting(eager, self.inspector)


class EagerInspector(Inspector):
    def __init__(self, eager: Eager) -> None:
        super().__init__(NOWHERE)
        self._eager = eager

    async def task_info(self, queue: str, task_id: str) -> TaskInfo:
        return self._eager.info(queue, task_id)

    async def delete_task(self, queue: str, task_id: str) -> None:
        self._eager.info(queue, task_id)

    async def cancel_processing(self, task_id: str) -> bool:
        return False


class EagerWaiting(Waiting):
    def __init__(self, eager: Eager, inspector: Inspector) -> None:
        super().__init__(inspector, NOWHERE)
        self._eager = eager

    async def ended(self, queue: str, task_id: str) -> TaskInfo:
        info = self._eager.info(queue, task_id)
        if info.state is not TaskState.COMPLETED:
            raise AsynqError(f"task {info.type!r} has no function here, so nothing has run it")
        return info


async def _below(handler: AsyncHandler, active: ActiveTask) -> None:
    async def run() -> None:
        set_current_task(active)
        await handler(active)

    # in a context of its own, so that the task is the current one only below
    await asyncio.get_running_loop().create_task(run(), context=contextvars.copy_context())
