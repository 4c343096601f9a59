"""Recoverer: tasks whose worker let the lease run out → back to the head of their queue. Behaviour 11.5.

And the repair of what no crash of a worker leaves behind, but an eviction, an operator or a defect can: tasks
that are active without any lease. They are seen in two passes before they are handed back, so that a worker
which still runs one has had its beat to notice, and to give it up.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import anyio

from asynq_py.broker.broker import Broker
from asynq_py.clock import Clock
from asynq_py.server.each import each
from asynq_py.server.outage import Outage, every
from asynq_py.tracebacks import one_line
from asynq_py.wire import limits

logger = logging.getLogger(__name__)

LOOKS_PER_REPAIR: Final = 6


class Recoverer:
    """A dead worker's tasks run again within lease + skew + interval.

    `interval`: seconds between looks. `skew`: seconds a lease must have been over, as clocks differ.
    `beat`: seconds between signs of life of a server. `set_clock`: by that of Redis, before leases are seen.
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
        beat: float = limits.HEARTBEAT,
        set_clock: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._outage = outage
        self._queues = queues
        self._interval = interval
        self._skew = skew
        self._set_clock = set_clock
        self._repair_interval = max(LOOKS_PER_REPAIR * interval, 2 * beat)
        self._strays: dict[str, set[bytes]] = {}

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(every, lambda: _jittered(self._interval), self.recover_once, self._outage)
            group.start_soon(every, lambda: _jittered(self._repair_interval), self.repair_once, self._outage)

    async def recover_once(self) -> None:
        """Hand back every task whose lease is over, in all queues."""
        if self._set_clock is not None:
            await self._set_clock()
        await each(self._queues, self._recover)

    async def _recover(self, queue: str) -> None:
        # until nothing is left: a step that brings few may have met leases of tasks that are gone
        while recovered := await self._broker.recover(queue, ended_by=self._clock.time() - self._skew):
            for task_id in recovered:
                logger.warning("recovered task %s in %r: its worker is lost", one_line(task_id), queue)

    async def repair_once(self) -> None:
        """Hand back every task that is active without a lease, now and at the last call; in all queues."""
        await each(self._queues, self._repair)

    async def _repair(self, queue: str) -> None:
        known = self._strays.pop(queue, set())
        strays = await self._broker.strays(queue)
        self._strays[queue] = set(strays) - known
        again = [task_id for task_id in strays if task_id in known]
        # the last batch first: each goes to the head, so that in the end the oldest task runs next
        for first in reversed(range(0, len(again), limits.REPAIR_BATCH)):
            for task_id in await self._broker.reclaim(queue, again[first : first + limits.REPAIR_BATCH]):
                logger.warning(
                    "handed back task %s in %r: it was active without a lease", one_line(task_id), queue
                )


def _jittered(seconds: float) -> float:
    """Vary it, so that many servers do not look all at once."""
    return seconds * random.uniform(0.8, 1.0)
