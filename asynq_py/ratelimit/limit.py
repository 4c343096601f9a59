"""What limits of both kinds have in common: their connection, whom they concern, and how one waits."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

from asynq_py.active_task import ActiveTask
from asynq_py.broker.gates import Gates
from asynq_py.broker.lanes import open_lane
from asynq_py.clock import Clock, check_clock
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import BrokerUnavailableError, InvalidOptionError, RetryLater
from asynq_py.options import Duration, check_queue, check_seconds
from asynq_py.ratelimit.key import LimitKey, key_of
from asynq_py.wire.keys import LimitKeys

logger = logging.getLogger(__name__)

# A task that waits looks again after an hour, however long its line: the limit may have been raised.
LONGEST_DELAY: Final = 3600.0
JITTER: Final = 1.0  # seconds at most: the waits themselves are spread already
OUTAGE_DELAY: Final = 5.0
SHORTEST_SLEEP: Final = 0.001

Ask = Callable[[str], Awaitable[float]]
"""Asks to be let in, in the name of who waits. Returns 0.0, or after how many seconds to ask again."""


class Limit:
    """Connection, name and manners of a limit; its kinds say what is asked for. See RateLimit."""

    def __init__(
        self,
        redis: RedisSource,
        text: str,
        *,
        name: str,
        key: LimitKey,
        patience: Duration,
        clock: Clock | None,
    ) -> None:
        self._text = text
        self._name = check_queue("name", name)
        self._key_of = key_of(key)
        self._patience = check_seconds("patience", patience)
        self._clock = check_clock(clock)
        self._connector = Connector(redis)
        self._lane = open_lane(self._connector, role="limit")
        self._gates = Gates(self._lane, self._clock)

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

    def _keys_of(self, task: ActiveTask) -> LimitKeys | None:
        """None: the task is not limited."""
        key = self._key_of(task)
        return None if key is None else LimitKeys(self._name, key)

    def _keys(self, key: str) -> LimitKeys:
        if not isinstance(key, str):
            raise InvalidOptionError("key", key, "text")
        return LimitKeys(self._name, key)

    async def _admit(self, task: ActiveTask, ask: Ask) -> None:
        """Let a task through, or put it off.

        Raises: RetryLater: it must wait longer than our patience lasts; or Redis is away, and nobody knows.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        try:
            while wait := await ask(f"{task.queue}:{task.id}"):
                if loop.time() + wait > until:
                    raise RetryLater(_delay(wait), f"over the limit {self._name!r} of {self._text}")
                await asyncio.sleep(max(wait, SHORTEST_SLEEP))
        except BrokerUnavailableError as error:
            delay = OUTAGE_DELAY * random.uniform(0.2, 1.0)
            raise RetryLater(delay, f"nobody can be asked about the limit {self._name!r}: {error}") from error

    async def _wait(self, gate: str, ask: Ask, timeout: Duration | None) -> None:
        """Wait until we are let in. `gate`: at which key. Raises: TimeoutError. BrokerUnavailableError."""
        seconds = None if timeout is None else check_seconds("timeout", timeout)
        who = f"-:{secrets.token_hex(8)}"  # not the name of a queue and a task, as those have
        try:
            async with asyncio.timeout(seconds):
                while wait := await ask(who):  # noqa: ASYNC110 (only Redis knows)
                    await asyncio.sleep(max(wait, SHORTEST_SLEEP))
        except BaseException:
            self._sent(self._gates.leave(gate, who))
            raise

    def _sent(self, answer: asyncio.Future[Any]) -> None:
        """Let go of what was sent and nobody waits for: whatever is lost ends by itself in Redis."""
        answer.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Future[Any]) -> None:
        if not answer.cancelled() and answer.exception() is not None:
            logger.warning("could not tell Redis about the limit %r: %s", self._name, answer.exception())


def _delay(wait: float) -> float:
    if wait > LONGEST_DELAY:
        return LONGEST_DELAY * random.uniform(0.9, 1.0)
    return wait + random.uniform(0.0, min(wait / 10, JITTER))
