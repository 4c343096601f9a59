"""Semaphore: tokens that Python and Go processes share (Go's rate-limit extension x/rate). Behaviour 15.4."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from asynq_py.active_task import ActiveTask, current_task
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.semaphores import Semaphores
from asynq_py.clock import Clock, check_clock
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import AsynqError, InvalidOptionError, RetryLater
from asynq_py.options import Duration, check_name, check_seconds

logger = logging.getLogger(__name__)


class Semaphore:
    """At most `max_tokens` tasks at once hold a token of this `scope`, in Python and Go together.

    A token belongs to the task that is being handled where `acquire` is called. It is free again when it is
    released, else a second after the deadline of that try: after a crash it may take so long.

    Connects at the first call. Close it with `aclose()`, or use it as an async context manager.
    """

    def __init__(
        self, redis: RedisSource, scope: str, max_tokens: int, *, clock: Clock | None = None
    ) -> None:
        self._scope = check_name("scope", scope)
        if type(max_tokens) is not int or max_tokens < 1:
            raise InvalidOptionError("max_tokens", max_tokens, "a whole number, one or more")
        self._max_tokens = max_tokens
        self._connector = Connector(redis)
        self._lane = open_lane(self._connector, role="semaphore")
        self._semaphores = Semaphores(self._lane, check_clock(clock))

    async def acquire(self) -> bool:
        """Take a token for the current task, without waiting. Returns False when all are taken.

        A task that has one keeps it, also one that was recovered from a worker that died.

        Raises: AsynqError: no task is being handled here. BrokerUnavailableError.
        """
        task = current_task()
        return await self._semaphores.acquire_token(
            self._scope,
            task.id,
            max_tokens=self._max_tokens,
            deadline=int(task.deadline.timestamp()),
        )

    async def release(self) -> None:
        """Give the token of the current task back.

        Raises: AsynqError: it has none, or no task is being handled here. BrokerUnavailableError.
        """
        task = current_task()
        if not await self._release(task):
            raise AsynqError(f"task {task.id!r} holds no token of the semaphore {self._scope!r}")

    @asynccontextmanager
    async def token(self, *, retry_in: Duration = 5.0) -> AsyncGenerator[None]:
        """Hold a token during the block; when all are taken, put the task off.

        `retry_in`: for so many seconds, a fifth more or less, so that not all that wait come at once.

        Raises: RetryLater: all are taken. As `acquire`.
        """
        seconds = check_seconds("retry_in", retry_in)
        task = current_task()
        if not await self.acquire():
            raise RetryLater(
                seconds * random.uniform(0.8, 1.2), f"all tokens of the semaphore {self._scope!r} are taken"
            )
        try:
            yield
        finally:
            try:
                await self._release(task)
            except AsynqError as error:  # how the block ended is what counts
                logger.warning(
                    "a token of the semaphore %r is free after its deadline: %s", self._scope, error
                )

    async def aclose(self) -> None:
        """Finish what is under way and close the connection. Idempotent."""
        await self._lane.aclose()
        await self._connector.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _release(self, task: ActiveTask) -> bool:
        return await self._semaphores.release_token(self._scope, task.id)
