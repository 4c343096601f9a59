"""The parts that keep leases alive: on a thread, a loop and a lane of their own, as handlers may block."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from asynq_py.active_task import CancelReason
from asynq_py.broker.broker import Broker
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.redis_clock import RedisClock
from asynq_py.broker.registry import Registry
from asynq_py.component import Component
from asynq_py.connection import Connector
from asynq_py.server.attempt import Attempt
from asynq_py.server.config import ServerConfig
from asynq_py.server.heartbeater import Heartbeater
from asynq_py.server.inflight import InFlight
from asynq_py.server.outage import Outage
from asynq_py.server.own_loop import Outside, OwnLoop
from asynq_py.server.watchdog import Watchdog


def heart(
    connector: Connector,
    config: ServerConfig,
    *,
    clock: RedisClock,
    inflight: InFlight,
    outage: Outage,
    status: Callable[[], str],
) -> OwnLoop:
    """The watchdog and the heartbeater; nothing runs or connects yet. `status`: the state that peers see."""

    @asynccontextmanager
    async def beating(outside: Outside) -> AsyncGenerator[Sequence[Component]]:
        def cancel_for(reason: CancelReason) -> Callable[[Attempt], object]:
            return lambda attempt: outside.loop.call_soon_threadsafe(attempt.cancel, reason)

        # a lease must outlive a connection on which no answer comes
        leases = open_lane(connector, role="leases", timeout=min(connector.timeout, config.lease / 4))
        watchdog = Watchdog(outside, inflight)
        heartbeater = Heartbeater(
            *(Broker(leases, clock), Registry(leases), config, inflight, outage),
            status=status,
            watchdog=watchdog,
            lost=cancel_for(CancelReason.LEASE_LOST),
            cancelled=cancel_for(CancelReason.CANCELLED),
            set_clock=partial(clock.set, leases),
        )
        try:
            yield watchdog, heartbeater
        finally:
            await leases.aclose()

    return OwnLoop(beating, name="asynq-py heart")
