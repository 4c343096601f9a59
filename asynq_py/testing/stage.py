"""Stage: what a rehearsal opens: the parts of a server, which do a step each when they are asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from asynq_py.active_task import ActiveTask, CancelReason
from asynq_py.broker.cluster_lane import ClusterLane
from asynq_py.broker.groups import Rules
from asynq_py.broker.lane import Sender
from asynq_py.broker.lanes import open_lane
from asynq_py.client import Client
from asynq_py.client_middleware import ClientMiddleware
from asynq_py.clock import Clock
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import AsynqError, InvalidOptionError
from asynq_py.handler import AsyncHandler
from asynq_py.inspector import Inspector
from asynq_py.scheduler.scheduler import Scheduler
from asynq_py.server.aggregator import Aggregator
from asynq_py.server.attempt import Attempt
from asynq_py.server.companion import Companion
from asynq_py.server.config import ServerConfig
from asynq_py.server.forwarder import Forwarder
from asynq_py.server.janitor import Janitor
from asynq_py.server.parts import Parts, assemble
from asynq_py.server.recoverer import Recoverer
from asynq_py.testing.ageing import age
from asynq_py.testing.agenda import Agenda
from asynq_py.testing.ran import Ran
from asynq_py.testing.timers import Timers
from asynq_py.testing.virtual_clock import VirtualClock
from asynq_py.wire import limits


class Step(Protocol):
    """Something that a server does again and again."""

    async def __call__(self) -> None: ...


class StageInspector(Inspector):
    """`cancel`: is told of each task that is to be cancelled."""

    def __init__(self, redis: RedisSource, clock: Clock, cancel: Callable[[str], None]) -> None:
        super().__init__(redis, clock=clock)
        self._cancel = cancel

    async def cancel_processing(self, task_id: str) -> bool:
        is_running = await super().cancel_processing(task_id)
        self._cancel(task_id)
        return is_running


class Stage:
    """What is due is done by `do_what_is_due`, and by fetching.

    `running`: tries that have begun. `hanging`: those among them that neither end nor sleep. `ended`: those
    of whose tasks nobody has looked yet what became.
    """

    def __init__(
        self,
        redis: RedisSource,
        handler: AsyncHandler,
        config: ServerConfig,
        clock: VirtualClock,
        *,
        middleware: Sequence[ClientMiddleware],
        companions: Sequence[Companion],
    ) -> None:
        self.redis = redis
        self._config = config
        self._clock = clock
        self._connector = Connector(redis)
        self._lane: Sender = open_lane(self._connector, role="test")
        self.client = Client(redis, middleware=middleware, clock=clock)
        self.inspector = self.new_inspector()
        self.scheduler = Scheduler(redis, middleware=middleware, clock=clock)
        self.parts: Parts = assemble(
            self._connector, handler, config, status=lambda: "active", end=lambda: None
        )
        self.slots = self.parts.slots
        self.timers = Timers(clock, self.slots.changed.set)
        rules = Rules(config.group_grace_period, config.group_max_delay, config.group_max_size or 0)
        self._agenda = Agenda(
            self._lane,
            config.queues,
            skew=min(limits.LEASE_SKEW, config.lease / 2),
            rules=rules if config.group_aggregator is not None else None,
        )
        self._companions = companions
        # all in one round trip, but for groups, which get tasks by the others
        steps = [self._tick, *map(_step, self.parts.inner)]
        steps += (companion.step_once for companion in companions)
        self._steps = [step for step in steps if step is not _nothing]
        self._aggregators = [part for part in self.parts.inner if isinstance(part, Aggregator)]
        self.running: set[Ran] = set()
        self.hanging: set[Ran] = set()
        self.ended: list[Ran] = []

    @property
    def awake(self) -> set[Ran]:
        """Tries that may still do something before time moves."""
        return self.running - self.timers.sleepers() - self.hanging

    @property
    def is_calm(self) -> bool:
        """Is there nothing left to wait for but time?"""
        has_begun = len(self.running) == self.slots.running_count == len(self.parts.inflight)
        return has_begun and not self.awake

    async def next_at(self) -> float:
        """When something is due next, after now; Unix seconds, or infinity."""
        now = self._clock.time()
        attempts = list(self.parts.inflight)
        moments = [
            await self._agenda.next_after(now, held={attempt.key for attempt in attempts}),
            self.timers.next_at(),
            self.scheduler.next_at,
            *(attempt.deadline for attempt in attempts if attempt.is_running),
        ]
        return min(moment for moment in (*moments, float("inf")) if moment > now)

    async def do_what_is_due(self) -> None:
        """Move tasks on, those that are pending excepted."""
        await asyncio.gather(*(step() for step in self._steps))
        for aggregator in self._aggregators:
            await aggregator.aggregate_once()

    async def move_to(self, moment: float) -> None:
        """Let time pass, for all who have a clock."""
        passed = moment - self._clock.time()
        self._clock.move_to(moment)
        await age(self._lane, passed)
        await self._renew_leases()
        if any(attempt.deadline <= moment for attempt in self.parts.inflight):
            self.slots.time_out()
            self.hanging.clear()  # they have something to do now
        self.timers.fire()

    async def make_empty(self, *, may_flush: bool) -> None:
        """Raises: AsynqError: there is something in it, and it may not be flushed. InvalidOptionError."""
        if isinstance(self._lane, ClusterLane):
            raise InvalidOptionError("redis", "a Cluster", "one server, of which a rehearsal has a database")
        if may_flush:
            await self._lane.call("FLUSHDB")
        elif await self._lane.call("DBSIZE"):
            raise AsynqError("the database of a rehearsal must be empty; `flush=True` empties it")

    def new_inspector(self) -> Inspector:
        """Make one that cancels what runs here, as a server would that hears of it."""
        return StageInspector(self.redis, self._clock, self._cancel)

    def _cancel(self, task_id: str) -> None:
        if self.parts.inflight.cancel(task_id):
            self.hanging.clear()  # it has something to do now
            self.slots.changed.set()

    def lose_worker(self, active: ActiveTask) -> None:
        """Leave a task to its lease, as who dies does."""
        for attempt in self.parts.inflight:
            if attempt.key == (active.queue, active.id):
                attempt.has_left_thread = True  # so that it is not handed back
                attempt.cancel(CancelReason.SHUTDOWN)

    async def aclose(self) -> None:
        self.slots.close()
        await self.slots.tear_down(self._config.cancel_grace)
        for companion in self._companions:
            await companion.aclose()
        await self.scheduler.shutdown()
        await self.inspector.aclose()
        await self.client.aclose()
        await self.parts.aclose()
        await self._lane.aclose()
        await self._connector.aclose()

    async def _tick(self) -> None:
        if self.scheduler.next_at <= self._clock.time():
            await self.scheduler.tick_once()

    async def _renew_leases(self) -> None:
        """And unique locks. A server that lives does it in time, so here they are as they would be by now."""
        by_queue: dict[str, list[Attempt]] = {}
        for attempt in self.parts.inflight:
            by_queue.setdefault(attempt.queue, []).append(attempt)
        expires_at = int(self._clock.time() + self._config.lease)
        for queue, attempts in by_queue.items():
            owned = [attempt.owned for attempt in attempts]
            await self.parts.upkeep.extend(queue, owned, expires_at=expires_at)
            keys = [attempt.message.unique_key for attempt in attempts]
            locks = [(task, key) for task, key in zip(owned, keys, strict=True) if key]
            if locks:
                await self.parts.upkeep.renew_locks(queue, locks)


def _step(part: object) -> Step:
    """What a part of a server does again and again."""
    match part:
        case Forwarder():
            return part.forward_once
        case Recoverer():
            return part.recover_once
        case Janitor():
            return part.clean_once
        case _:
            return _nothing  # groups come later; the others look after what a test has no use for


async def _nothing() -> None: ...
