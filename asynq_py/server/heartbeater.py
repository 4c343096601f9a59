"""Heartbeater: extends leases of running tasks, and says that the server lives. Behaviour 11.1.

It runs in a thread, on an event loop of its own: a handler that blocks the server's loop costs no lease. What
it reads of tries are single attributes and copies of whole dicts, which threads always see complete.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Awaitable, Callable
from uuid import uuid4

import anyio

from asynq_py.broker.broker import Broker, Owned
from asynq_py.broker.registry import Registry
from asynq_py.errors import BrokerError, BrokerUnavailableError
from asynq_py.process import host_name
from asynq_py.server.attempt import Attempt
from asynq_py.server.config import ServerConfig
from asynq_py.server.each import each
from asynq_py.server.inflight import InFlight
from asynq_py.server.outage import Outage, every
from asynq_py.server.watchdog import BLOCKED, Watchdog
from asynq_py.tracebacks import one_line
from asynq_py.wire.messages import ServerInfo, WorkerInfo, encode, set_instant

logger = logging.getLogger(__name__)

SWEEP = 12  # beats between sweeps of dead servers
FAREWELL = 2.0  # seconds given to the last word


class Heartbeater:
    """`status`: the server's state as peers know it. `lost` hears of tries whose lease somebody else has, or
    nobody; `cancelled`, of those that shall be cancelled, of which the subscriber may not have heard.
    `watchdog` knows whether the loop that the tries run on is blocked. `set_clock`: by that of Redis.
    """

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        config: ServerConfig,
        inflight: InFlight,
        outage: Outage,
        *,
        status: Callable[[], str],
        watchdog: Watchdog,
        lost: Callable[[Attempt], object],
        cancelled: Callable[[Attempt], object],
        set_clock: Callable[[], Awaitable[object]],
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._config = config
        self._clock = config.clock
        self._inflight = inflight
        self._outage = outage
        self._status = status
        self._watchdog = watchdog
        self._lost = lost
        self._cancelled = cancelled
        self._set_clock = set_clock
        self._host = host_name()
        self._pid = os.getpid()
        self._server_id = str(uuid4())
        self._identity = f"{self._host}:{self._pid}:{self._server_id}"
        self._started_at = self._clock.time()
        self._beats = 0

    async def run(self) -> None:
        try:
            await every(lambda: self._config.heartbeat, self.beat_once, self._outage)
        finally:
            with anyio.move_on_after(FAREWELL, shield=True):
                await self._say_goodbye()

    async def beat_once(self) -> None:
        """Leases first: they are what keeps others off our tasks."""
        await self._extend_leases()
        now, ttl = self._clock.time(), max(2, math.ceil(2 * self._config.heartbeat))
        workers = {
            attempt.id: encode(self._worker(attempt, attempt.started_at))
            for attempt in self._inflight
            if attempt.started_at is not None
        }
        await self._registry.write_server(
            self._identity, encode(self._server(len(workers))), workers, now=now, ttl=ttl
        )
        if self._beats % SWEEP == 0:
            await self._registry.sweep(now=now)
        self._beats += 1
        with contextlib.suppress(BrokerUnavailableError):  # for this alone no beat has failed
            await self._set_clock()

    async def _extend_leases(self) -> None:
        by_queue: dict[str, list[Attempt]] = {}
        blocked_for, now = self._watchdog.blocked_for, self._clock.time()
        for attempt in self._inflight:
            if self._may_keep(attempt, blocked_for, now):
                by_queue.setdefault(attempt.queue, []).append(attempt)
        await each(by_queue, lambda queue: self._extend(queue, by_queue[queue]))

    async def _extend(self, queue: str, attempts: list[Attempt]) -> None:
        valid_until = self._clock.monotonic() + self._config.lease - 1.0  # Redis knows whole seconds only
        answers = await self._broker.extend(
            queue,
            [attempt.owned for attempt in attempts],
            expires_at=int(self._clock.time() + self._config.lease),
        )
        locks: list[tuple[Owned, str]] = []
        kept: list[Attempt] = []
        for attempt, is_ours in zip(attempts, answers, strict=True):
            if is_ours:
                attempt.valid_until = valid_until
                kept.append(attempt)
                if attempt.message.unique_key:
                    locks.append((attempt.owned, attempt.message.unique_key))
            else:
                self._lost(attempt)
        if locks:
            await self._broker.renew_locks(queue, locks)
        if kept:
            await self._look_for_wishes(queue, kept)

    async def _look_for_wishes(self, queue: str, attempts: list[Attempt]) -> None:
        owned = [attempt.owned for attempt in attempts]
        answers = await self._broker.asked_to_cancel(queue, owned)
        for attempt, is_asked in zip(attempts, answers, strict=True):
            if is_asked and attempt.cancel_reason is None:
                logger.info("cancelling task %s, as asked", one_line(attempt.id))
                self._cancelled(attempt)

    def _may_keep(self, attempt: Attempt, blocked_for: float, now: float) -> bool:
        """While the loop is blocked nobody can time a try out: then its deadline ends its lease instead."""
        longest = self._config.max_loop_block
        if longest is not None:
            return blocked_for <= longest
        return blocked_for < BLOCKED or attempt.deadline > now

    async def _say_goodbye(self) -> None:
        with contextlib.suppress(BrokerUnavailableError, BrokerError):  # the entries end by themselves
            await self._registry.clear_server(self._identity)

    def _server(self, active: int) -> ServerInfo:
        info = ServerInfo(
            host=self._host,
            pid=self._pid,
            server_id=self._server_id,
            concurrency=self._config.concurrency,
            queues=self._config.queues,
            strict_priority=self._config.strict_priority,
            status=self._status(),
            active_worker_count=active,
        )
        set_instant(info.start_time, self._started_at)
        return info

    def _worker(self, attempt: Attempt, started_at: float) -> WorkerInfo:
        info = WorkerInfo(
            host=self._host,
            pid=self._pid,
            server_id=self._server_id,
            task_id=attempt.id,
            task_type=attempt.message.type,
            task_payload=attempt.message.payload,
            queue=attempt.queue,
        )
        set_instant(info.start_time, started_at)
        set_instant(info.deadline, attempt.deadline)
        return info
