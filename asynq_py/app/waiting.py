"""Waiting: looks after all tasks that somebody waits for, as seldom as will do."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Awaitable
from typing import Final

from asynq_py.errors import AsynqError, BrokerUnavailableError, QueueNotFoundError, TaskNotFoundError
from asynq_py.info import TaskInfo
from asynq_py.inspector import Inspector
from asynq_py.wire.state import TaskState

FIRST_PAUSE: Final = 0.02  # seconds
LONGEST_PAUSE: Final = 1.0
GROWTH: Final = 1.5
AT_ONCE: Final = 200  # tasks looked at in one round trip
PER_SECOND: Final = 1000  # looks for all who wait together, more or less

ENDED: Final = frozenset({TaskState.COMPLETED, TaskState.ARCHIVED})


class Waiter:
    """Somebody who waits for a task. `look_at`: when to look next, on the clock of the loop."""

    def __init__(self, queue: str, task_id: str, *, look_at: float) -> None:
        self.queue = queue
        self.task_id = task_id
        self.look_at = look_at
        self.pause = FIRST_PAUSE
        self.future: asyncio.Future[TaskInfo] = asyncio.get_running_loop().create_future()


class Waiting:
    """One asyncio task looks for all, while anybody waits. Each is looked at after growing pauses."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._due: list[tuple[float, int, Waiter]] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def ended(self, queue: str, task_id: str) -> TaskInfo:
        """Wait until the task is completed or archived. An outage of Redis is waited out.

        Raises: TaskNotFoundError: it is not there any more.
        """
        waiter = Waiter(queue, task_id, look_at=asyncio.get_running_loop().time())
        self._put(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="asynq-py results")
        self._changed.set()
        return await waiter.future

    async def aclose(self) -> None:
        """Wait for nothing any more. Idempotent."""
        for _, _, waiter in self._due:
            if not waiter.future.done():
                waiter.future.set_exception(AsynqError("the app was closed meanwhile"))
        self._due.clear()
        self._changed.set()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def _put(self, waiter: Waiter) -> None:
        heapq.heappush(self._due, (waiter.look_at, next(self._numbers), waiter))

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due:
            now = loop.time()
            due: list[Waiter] = []
            while self._due and self._due[0][0] <= now and len(due) < AT_ONCE:
                waiter = heapq.heappop(self._due)[2]
                if not waiter.future.done():  # else nobody waits any more
                    due.append(waiter)
            if due:
                await self._look_at(due)
                continue
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._due[0][0] if self._due else now):
                    await self._changed.wait()

    async def _look_at(self, due: list[Waiter]) -> None:
        looks: list[Awaitable[TaskInfo]] = [
            self._inspector.task_info(waiter.queue, waiter.task_id) for waiter in due
        ]
        answers = await asyncio.gather(*looks, return_exceptions=True)
        now = asyncio.get_running_loop().time()
        fair = (len(self._due) + len(due)) / PER_SECOND
        for waiter, answer in zip(due, answers, strict=True):
            if waiter.future.done():
                continue
            match answer:
                case TaskInfo() if answer.state in ENDED:
                    waiter.future.set_result(answer)
                case TaskInfo() | BrokerUnavailableError():
                    waiter.look_at = now + max(waiter.pause, fair)
                    waiter.pause = min(waiter.pause * GROWTH, LONGEST_PAUSE)
                    self._put(waiter)
                case QueueNotFoundError():
                    waiter.future.set_exception(TaskNotFoundError(waiter.queue, waiter.task_id))
                case _:
                    waiter.future.set_exception(answer)
