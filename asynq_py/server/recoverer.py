"""Recoverer: tasks whose worker let the lease run out → back to the head of their queue. Behaviour 11.5."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection

from asynq_py.broker.broker import Broker
from asynq_py.clock import Clock
from asynq_py.server.each import each
from asynq_py.server.outage import Outage, every
from asynq_py.wire import limits

logger = logging.getLogger(__name__)


class Recoverer:
    """A dead worker's tasks run again within lease + skew + interval.

    `interval`: seconds between looks. `skew`: seconds a lease must have been over, as clocks differ.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        outage: Outage,
        queues: Collection[str],
        *,
        interval: float,
        skew: float,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._outage = outage
        self._queues = queues
        self._interval = interval
        self._skew = skew

    async def run(self) -> None:
        # jittered, so that many servers do not look all at once
        await every(lambda: self._interval * random.uniform(0.8, 1.0), self.recover_once, self._outage)

    async def recover_once(self) -> None:
        """Hand back every task whose lease is over, in all queues."""
        await each(self._queues, self._recover)

    async def _recover(self, queue: str) -> None:
        while True:
            recovered = await self._broker.recover(queue, ended_by=self._clock.time() - self._skew)
            for task_id in recovered:
                logger.warning("recovered task %s in %r: its worker is lost", task_id, queue)
            if len(recovered) < limits.RECOVER_BATCH:
                return
