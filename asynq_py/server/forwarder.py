"""Forwarder: scheduled and retry tasks whose time has come → pending. Behaviour 11.4."""

from __future__ import annotations

from collections.abc import Collection

from asynq_py.broker.broker import Broker
from asynq_py.clock import Clock
from asynq_py.server.each import each
from asynq_py.server.outage import Outage, every
from asynq_py.wire import limits

LATE = 0.005  # seconds after the full second, so that rounding never makes us look just before it


class Forwarder:
    """Times are stored in whole seconds, so it looks right after each of them.

    `interval`: seconds between looks.
    """

    def __init__(
        self, broker: Broker, clock: Clock, outage: Outage, queues: Collection[str], *, interval: float
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._outage = outage
        self._queues = queues
        self._interval = interval

    async def run(self) -> None:
        await every(self._until_next, self.forward_once, self._outage)

    async def forward_once(self) -> None:
        """Forward all that is due, in all queues."""
        await each(self._queues, self._forward)

    async def _forward(self, queue: str) -> None:
        if await self._broker.is_due(queue):
            while await self._broker.forward(queue) >= limits.FORWARD_BATCH:
                pass

    def _until_next(self) -> float:
        return self._interval - self._clock.time() % self._interval + LATE
