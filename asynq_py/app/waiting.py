"""Waiting: looks after tasks that somebody waits for: when Redis says that they changed, and now and then."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections.abc import Awaitable
from typing import Final

from asynq_py.broker.key_watch import KeyWatch
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import (
    AsynqError,
    BrokerError,
    BrokerUnavailableError,
    QueueNotFoundError,
    TaskNotFoundError,
)
from asynq_py.info import TaskInfo
from asynq_py.inspector import Inspector
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.state import TaskState

logger = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.02  # seconds
LONGEST_PAUSE: Final = 1.0
LISTEN_AGAIN: Final = 1.0  # seconds after the connection to be told by was lost
TOLD_PAUSE: Final = 5.0  # where Redis tells; a broken connection is known by then
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
        self.key = QueueKeys(queue).task(task_id)
        self.is_watched = False
        self.future: asyncio.Future[TaskInfo] = asyncio.get_running_loop().create_future()


class Waiting:
    """One asyncio task looks for all, while anybody waits.

    Redis tells when a task changes that has been waited for a moment. As it may not (it refuses, was away, or
    is a Cluster), each is looked at after growing pauses all the same.
    """

    def __init__(self, inspector: Inspector, redis: RedisSource = None) -> None:
        self._inspector = inspector
        self._connector = Connector(redis)
        self._watch = None if self._connector.cluster else KeyWatch(self._connector)
        self._watching: asyncio.Task[None] | None = None
        self._watched: dict[str, set[Waiter]] = {}
        self._waiters: set[Waiter] = set()
        self._due: list[tuple[float, int, Waiter]] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def let_run(self) -> None:
        """Before somebody waits for more than one task: they run by themselves, but in a rehearsal."""

    async def ended(self, queue: str, task_id: str) -> TaskInfo:
        """Wait until the task is completed or archived. An outage of Redis is waited out.

        Raises: TaskNotFoundError: it is not there any more.
        """
        waiter = Waiter(queue, task_id, look_at=asyncio.get_running_loop().time())
        self._waiters.add(waiter)
        self._put(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="asynq-py results")
        self._changed.set()
        try:
            return await waiter.future
        finally:
            self._waiters.discard(waiter)

    @property
    def told_of(self) -> int:
        """Of how many tasks Redis is to tell."""
        return len(self._watched) if self._watch is not None and self._watch.is_ready else 0

    @property
    def _longest(self) -> float:
        return TOLD_PAUSE if self._watch is not None and self._watch.is_ready else LONGEST_PAUSE

    async def aclose(self) -> None:
        """Wait for nothing any more. Idempotent."""
        for waiter in self._waiters:  # those that are looked at right now included
            if not waiter.future.done():
                waiter.future.set_exception(AsynqError("the app was closed meanwhile"))
        self._due.clear()
        self._changed.set()
        running = [task for task in (self._looking, self._watching) if task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await self._connector.aclose()

    def _put(self, waiter: Waiter) -> None:
        heapq.heappush(self._due, (waiter.look_at, next(self._numbers), waiter))

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due:
            now = loop.time()
            due: list[Waiter] = []
            while self._due and self._due[0][0] <= now and len(due) < AT_ONCE:
                look_at, _, waiter = heapq.heappop(self._due)
                if waiter.future.done():  # nobody waits any more
                    self._forget(waiter)
                elif waiter.look_at == look_at:  # else it was woken, and stands elsewhere
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
        fair = len(self._waiters) / PER_SECOND
        for waiter, answer in zip(due, answers, strict=True):
            if waiter.future.done():
                self._forget(waiter)
                continue
            match answer:
                case TaskInfo() if answer.state in ENDED:
                    self._forget(waiter)
                    waiter.future.set_result(answer)
                case TaskInfo() | BrokerUnavailableError():
                    waiter.look_at = now + max(waiter.pause, fair)
                    waiter.pause = min(waiter.pause * GROWTH, self._longest)
                    self._put(waiter)
                case QueueNotFoundError():
                    self._forget(waiter)
                    waiter.future.set_exception(TaskNotFoundError(waiter.queue, waiter.task_id))
                case _:
                    self._forget(waiter)
                    waiter.future.set_exception(answer)
        await self._listen([waiter for waiter in due if not waiter.future.done()])

    # -- being woken ------------------------------------------------------------------------------------

    async def _listen(self, waiters: list[Waiter]) -> None:
        """Ask to be told of the next change; of who has waited since the last look already."""
        if self._watch is None:
            return
        for waiter in waiters:
            if waiter.is_watched or waiter.pause == FIRST_PAUSE * GROWTH:
                continue
            if self._watching is None:
                self._watching = asyncio.create_task(self._hear(self._watch), name="asynq-py watch")
            waiter.is_watched = True
            self._watched.setdefault(waiter.key, set()).add(waiter)
            if not self._watch.is_ready:  # it will wake all when it is
                continue
            try:
                state = await self._watch.state(waiter.key)
            except AsynqError:
                continue
            if (
                state is None or state.decode("utf-8", "replace") in ENDED
            ):  # it changed between the look and this
                self._wake(waiter.key)

    async def _hear(self, watch: KeyWatch) -> None:
        while True:
            try:
                await watch.run(self._wake_all, self._wake)
            except BrokerUnavailableError:
                await asyncio.sleep(LISTEN_AGAIN)
            except BrokerError as error:
                logger.info("Redis does not tell when tasks end, so results are looked for: %s", error)
                return

    def _wake_all(self) -> None:
        """Look at all, who then ask to be told: of what changed before they were not."""
        for key in list(self._watched):
            self._wake(key)

    def _wake(self, key: str) -> None:
        now = asyncio.get_running_loop().time()
        for waiter in self._watched.pop(key, set()):
            waiter.is_watched = False
            waiter.look_at = now
            self._put(waiter)
        self._changed.set()

    def _forget(self, waiter: Waiter) -> None:
        watched = self._watched.get(waiter.key, set())
        watched.discard(waiter)
        if not watched:
            self._watched.pop(waiter.key, None)
