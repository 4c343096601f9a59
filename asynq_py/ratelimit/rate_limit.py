"""RateLimit: so many tasks in a time."""

from __future__ import annotations

from asynq_py.active_task import ActiveTask
from asynq_py.clock import Clock
from asynq_py.connection import RedisSource
from asynq_py.handler import AsyncHandler
from asynq_py.options import Duration
from asynq_py.ratelimit.key import LimitKey
from asynq_py.ratelimit.limit import Ask, Limit
from asynq_py.ratelimit.rate import Rate
from asynq_py.wire.keys import LimitKeys


class RateLimit(Limit):
    """A middleware that runs so many tasks in a time, over all workers; the others are put off.

    `rate`: "100/m": at most 100 in any minute (a sliding window); "100/m burst 20": evenly, and up to 20 at
    once after a pause (a token bucket). Units are s, m, h and d; "10/30s" is 10 in any half-minute.
    `name`: those that have the same name share the limit. `key`: each of its values has a limit of its own:
    "queue", "type", "payload.account.id", "headers.tenant", or a function of the task whose None means "not
    limited"; tasks without the value share one. `patience`: if a place is expected within so many seconds,
    the task waits for it in its worker; else it goes back, and nothing is counted as failed or retried.

    Connects at the first task. Close it with `aclose()`, or use it as an async context manager.
    """

    def __init__(
        self,
        redis: RedisSource,
        rate: str,
        *,
        name: str,
        key: LimitKey = None,
        patience: Duration = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self._rate = Rate.parse(rate)
        super().__init__(redis, rate, name=name, key=key, patience=patience, clock=clock)

    async def __call__(self, task: ActiveTask, call_next: AsyncHandler) -> None:
        """Run the task, or put it off. Raises: RetryLater."""
        keys = self._keys_of(task)
        if keys is not None:
            await self._admit(task, self._asking(keys))
        await call_next(task)

    async def try_acquire(self, key: str = "") -> bool:
        """Count one more if the limit allows it now, and nobody waits who is due. Also outside of workers.

        Raises: BrokerUnavailableError.
        """
        return not await self._asking(self._keys(key))("")

    async def acquire(self, key: str = "", *, timeout: Duration | None = None) -> None:
        """Wait in line until the limit allows one more, and count it.

        Raises: TimeoutError: not within so many seconds. BrokerUnavailableError.
        """
        keys = self._keys(key)
        await self._wait(keys.turns if self._rate.burst is None else keys.tokens, self._asking(keys), timeout)

    def _asking(self, keys: LimitKeys) -> Ask:
        count, period, burst = self._rate.count, self._rate.period, self._rate.burst

        async def ask(who: str) -> float:
            if burst is None:
                return await self._gates.take_turn(keys, who, count=count, period=period)
            return await self._gates.take_token(keys, who, count=count, period=period, burst=burst)

        return ask
