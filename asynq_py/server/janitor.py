"""Janitor: completed tasks whose retention has ended are forgotten. Behaviour 11.6."""

from __future__ import annotations

from collections.abc import Collection

from asynq_py.broker.broker import Broker
from asynq_py.server.each import each
from asynq_py.server.outage import Outage, every


class Janitor:
    """`interval`: seconds between looks. `batch`: tasks forgotten by one script."""

    def __init__(
        self, broker: Broker, outage: Outage, queues: Collection[str], *, interval: float, batch: int
    ) -> None:
        self._broker = broker
        self._outage = outage
        self._queues = queues
        self._interval = interval
        self._batch = batch

    async def run(self) -> None:
        await every(lambda: self._interval, self.clean_once, self._outage)

    async def clean_once(self) -> None:
        """Forget every completed task whose time is over, in all queues."""
        await each(self._queues, self._clean)

    async def _clean(self, queue: str) -> None:
        while await self._broker.expire(queue, self._batch) >= self._batch:
            pass
