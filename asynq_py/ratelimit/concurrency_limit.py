"""ConcurrencyLimit: so many tasks at once."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self

from asynq_py.active_task import ActiveTask
from asynq_py.clock import Clock
from asynq_py.connection import RedisSource
from asynq_py.errors import AsynqError, InvalidOptionError
from asynq_py.handler import AsyncHandler
from asynq_py.options import Duration, check_seconds
from asynq_py.ratelimit.key import LimitKey
from asynq_py.ratelimit.limit import Ask, Limit
from asynq_py.ratelimit.rate import MOST_TURNS
from asynq_py.wire import limits
from asynq_py.wire.keys import LimitKeys

logger = logging.getLogger(__name__)

RENEWALS: Final = 3  # in the time of one lease


class Hold:
    """One of the places of a ConcurrencyLimit, until `release()`, or as long as its process lives."""

    def __init__(
        self,
        *,
        lease: float,
        renew: Callable[[float], Awaitable[bool]],
        free: Callable[[Hold, float], object],
    ) -> None:
        self._lease = lease
        self._renew = renew
        self._free = free
        loop = asyncio.get_running_loop()
        self._taken_at = loop.time()
        self._renewing: asyncio.Task[None] | None = loop.create_task(self._keep())

    def release(self) -> None:
        """Give the place back, with the next round trip; there is nothing to wait for. Idempotent."""
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            self._free(self, self._held())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _held(self) -> float:
        return asyncio.get_running_loop().time() - self._taken_at

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._lease / RENEWALS)
            try:
                if not await self._renew(self._held()):
                    logger.warning("a place of a concurrency limit is lost: it was not renewed in time")
                    return
            except AsynqError as error:
                logger.warning("could not renew a place of a concurrency limit: %s", error)


class ConcurrencyLimit(Limit):
    """A middleware that runs at most `size` tasks at once, over all workers; the others are put off.

    `name`, `key`, `patience`: as for RateLimit. `lease`: after so many seconds the place of a worker that
    died is free; a living one renews it.
    """

    def __init__(
        self,
        redis: RedisSource,
        size: int,
        *,
        name: str,
        key: LimitKey = None,
        patience: Duration = 1.0,
        lease: Duration = limits.LEASE,
        clock: Clock | None = None,
    ) -> None:
        if type(size) is not int or not 1 <= size <= MOST_TURNS:
            raise InvalidOptionError("size", size, f"a whole number from 1 to {MOST_TURNS}")
        self._size = size
        self._lease = check_seconds("lease", lease, least=1.0)
        self._held: set[Hold] = set()
        super().__init__(redis, f"{size} at once", name=name, key=key, patience=patience, clock=clock)

    async def __call__(self, task: ActiveTask, call_next: AsyncHandler) -> None:
        """Run the task, or put it off. Raises: RetryLater."""
        keys = self._keys_of(task)
        if keys is None:
            await call_next(task)
            return
        name, ask = self._asking(keys)
        await self._admit(task, ask)
        async with self._hold(keys, name):
            await call_next(task)

    async def try_acquire(self, key: str = "") -> Hold | None:
        """Take a place if one is free and nobody waits who is due. Also outside of workers.

        Raises: BrokerUnavailableError.
        """
        keys = self._keys(key)
        name, ask = self._asking(keys)
        return None if await ask("") else self._hold(keys, name)

    @asynccontextmanager
    async def place(self, key: str = "", *, timeout: Duration | None = None) -> AsyncGenerator[None]:
        """Wait in line for a place, and hold it during the block.

        Raises: TimeoutError: not within so many seconds. BrokerUnavailableError.
        """
        keys = self._keys(key)
        name, ask = self._asking(keys)
        await self._wait(keys.holds, ask, timeout)
        async with self._hold(keys, name):
            yield

    async def aclose(self) -> None:
        """Give back what is held and close the connection. Idempotent."""
        for hold in list(self._held):
            hold.release()
        await super().aclose()

    def _asking(self, keys: LimitKeys) -> tuple[str, Ask]:
        """Returns the name of the hold that is asked for, too."""
        name = secrets.token_hex(8)

        async def ask(who: str) -> float:
            try:
                return await self._gates.take_hold(keys, who, size=self._size, name=name, lease=self._lease)
            except BaseException:  # the answer is lost, the place perhaps taken
                self._sent(self._gates.free_hold(keys, name, held=0.0))
                raise

        return name, ask

    def _hold(self, keys: LimitKeys, name: str) -> Hold:
        async def renew(held: float) -> bool:
            return await self._gates.renew_hold(keys, name, lease=self._lease, held=held)

        def free(hold: Hold, held: float) -> None:
            self._held.discard(hold)
            self._sent(self._gates.free_hold(keys, name, held=held))

        hold = Hold(lease=self._lease, renew=renew, free=free)
        self._held.add(hold)
        return hold
