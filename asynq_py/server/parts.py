"""The parts of one server and the lanes they talk on, wired together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from asynq_py.broker.broker import Broker
from asynq_py.broker.groups import Groups, Rules
from asynq_py.broker.lane import Sender
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.redis_clock import RedisClock
from asynq_py.component import Component
from asynq_py.connection import Connector
from asynq_py.handler import AsyncHandler
from asynq_py.server.aggregator import Aggregator
from asynq_py.server.config import ServerConfig
from asynq_py.server.forwarder import Forwarder
from asynq_py.server.healthcheck import HealthChecker
from asynq_py.server.heart import heart
from asynq_py.server.inflight import InFlight
from asynq_py.server.janitor import Janitor
from asynq_py.server.lease_watch import LeaseWatch
from asynq_py.server.notifier import Notifier
from asynq_py.server.outage import Outage
from asynq_py.server.processor import Processor
from asynq_py.server.recoverer import Recoverer
from asynq_py.server.slots import Slots
from asynq_py.server.subscriber import Subscriber
from asynq_py.server.syncer import Syncer
from asynq_py.server.threads import Threads
from asynq_py.wire import limits


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server runs, by the order in which it ends: `inner` first, `outer` last.

    Four lanes, so that no traffic waits behind another's: fetching, outcomes, the rest, and leases. The last
    one lives in a thread, with the parts that use it (`heart`).
    """

    processor: Processor
    inner: Sequence[Component]
    syncer: Syncer
    outer: Sequence[Component]
    upkeep: Broker
    outage: Outage
    lanes: Sequence[Sender]
    threads: Threads
    slots: Slots
    clock: RedisClock
    inflight: InFlight

    async def aclose(self) -> None:
        self.threads.close()
        for lane in self.lanes:
            await lane.aclose()


def assemble(
    connector: Connector,
    handler: AsyncHandler,
    config: ServerConfig,
    *,
    status: Callable[[], str],
    end: Callable[[], object],
) -> Parts:
    """Build the parts; nothing runs or connects yet.

    `status`: the server's state as peers know it. `end`: gets the server to end in order.
    """
    clock, queues = RedisClock(config.clock), tuple(config.queues)
    config = replace(config, clock=clock)
    lanes = fetching, outcomes, rest = [
        open_lane(connector, role=role) for role in ("fetch", "outcomes", "upkeep")
    ]
    upkeep = Broker(rest, clock)
    outage = Outage(str(connector))
    inflight = InFlight()
    threads = Threads(config.thread_limit)
    notifier = Notifier(connector, queues, poll=config.poll_interval)
    syncer = Syncer(
        Broker(outcomes, clock), clock, outage, settled=inflight.remove, patience=config.cancel_grace + 1.0
    )
    slots = Slots(handler, config, results=upkeep, syncer=syncer, inflight=inflight, threads=threads, end=end)
    processor = Processor(
        config,
        broker=Broker(fetching, clock),
        slots=slots,
        syncer=syncer,
        inflight=inflight,
        notifier=notifier,
        outage=outage,
    )
    set_clock = partial(clock.set_once, rest)
    inner = [notifier, *_periodic(upkeep, config, outage, set_clock=set_clock)]
    inner += _aggregators(Groups(rest, clock), config, outage, threads)
    outer = (
        heart(connector, config, clock=clock, inflight=inflight, outage=outage, status=status),
        LeaseWatch(inflight, clock),
        Subscriber(connector, inflight),
    )
    return Parts(processor, inner, syncer, outer, upkeep, outage, lanes, threads, slots, clock, inflight)


def _periodic(
    upkeep: Broker, config: ServerConfig, outage: Outage, *, set_clock: Callable[[], Awaitable[None]]
) -> Sequence[Component]:
    """What looks at the queues again and again, and at Redis if somebody asked for that."""
    clock, queues = config.clock, tuple(config.queues)
    every: list[Component] = [
        Forwarder(upkeep, clock, outage, queues, interval=config.forward_interval),
        Recoverer(
            *(upkeep, clock, outage, queues),
            interval=config.recover_interval,
            skew=min(limits.LEASE_SKEW, config.lease / 2),
            beat=config.heartbeat,
            set_clock=set_clock,
        ),
        Janitor(upkeep, outage, queues, interval=config.janitor_interval, batch=config.janitor_batch_size),
    ]
    if config.health_check is not None:
        every.append(HealthChecker(upkeep, config.health_check, interval=config.health_check_interval))
    return every


def _aggregators(
    groups: Groups, config: ServerConfig, outage: Outage, threads: Threads
) -> Sequence[Component]:
    """One, or none: who says nothing about groups leaves them alone."""
    if config.group_aggregator is None:
        return ()
    return [
        Aggregator(
            *(groups, config.clock, outage, tuple(config.queues)),
            aggregate=config.group_aggregator,
            rules=Rules(config.group_grace_period, config.group_max_delay, config.group_max_size or 0),
            threads=threads,
        )
    ]
