"""Scheduler: enqueues tasks at the times of their specs. Behaviour 12.1."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Self, TypedDict, Unpack

import anyio

from asynq_py.broker.lanes import open_lane
from asynq_py.broker.redis_clock import RedisClock
from asynq_py.broker.registry import Registry
from asynq_py.broker.ticks import Ticks
from asynq_py.client_middleware import ClientMiddleware, check_client_middleware
from asynq_py.clock import Clock, check_clock
from asynq_py.component import running
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import BrokerUnavailableError, InvalidOptionError, ServerStateError
from asynq_py.options import Duration, check_seconds
from asynq_py.outage import Outage
from asynq_py.scheduler.cron import load_zone
from asynq_py.scheduler.entry import Entry, EntryOptions, Missed, build, check_missed
from asynq_py.scheduler.publisher import Publisher
from asynq_py.scheduler.ticker import AfterEnqueue, BeforeEnqueue, Hooks, Ticker
from asynq_py.signals import signals
from asynq_py.task import Task, check_size
from asynq_py.wire import limits

logger = logging.getLogger(__name__)


class SchedulerState(StrEnum):
    NEW = "new"
    ACTIVE = "active"
    CLOSED = "closed"


class SchedulerOptions(TypedDict, total=False):
    """What may be said about a scheduler, as keyword arguments of `Scheduler`."""

    timezone: str
    missed: Missed
    missed_within: Duration
    pre_enqueue: BeforeEnqueue | None
    post_enqueue: AfterEnqueue | None
    heartbeat: Duration
    payload_limit: int
    middleware: Iterable[ClientMiddleware]
    handle_signals: bool
    clock: Clock | None


class Scheduler:
    """Enqueues tasks at the times that specs name. Start one in every replica: each time is enqueued once.

    `redis`: a URL, a RedisConfig or a live client; left out, `$ASYNQ_REDIS_URL` or localhost.
    `timezone`: what the specs mean, unless an entry or its spec names another zone.
    `missed`: what becomes of times that passed while no scheduler could enqueue: "skip" lets them go, "once"
    makes up the last one, a number as many of the last ones. Entries may differ.
    `missed_within`: those that are older than this are let go anyway.
    `pre_enqueue(task)`: called before each attempt to enqueue, so in each replica. `post_enqueue(task, info,
    error)`: called after it where the task was enqueued, with its info, or was refused, with the error.
    Both may be coroutine functions; what they raise is logged.
    `heartbeat`: seconds between two words to the tools that list schedulers.
    `payload_limit`: the largest payload accepted, bytes.
    `middleware`: around each time that is enqueued, as around the calls of a client; the first is the
    outermost. It runs in the scheduler whose turn it is. What it raises is logged, and the time tried again.

    Either `await serve()` in a process of its own, or `async with scheduler:` inside an application. A
    scheduler is used once.

    Raises: InvalidOptionError.
    """

    def __init__(
        self,
        redis: RedisSource = None,
        *,
        timezone: str = "UTC",
        missed: Missed = "once",
        missed_within: Duration = 3600.0,
        pre_enqueue: BeforeEnqueue | None = None,
        post_enqueue: AfterEnqueue | None = None,
        heartbeat: Duration = limits.SCHEDULER_HEARTBEAT,
        payload_limit: int = limits.PAYLOAD_LIMIT,
        middleware: Iterable[ClientMiddleware] = (),
        handle_signals: bool = True,
        clock: Clock | None = None,
    ) -> None:
        load_zone("timezone", timezone)
        self._timezone = timezone
        self._missed: Missed = check_missed(missed)
        self._payload_limit = payload_limit
        self._handle_signals = handle_signals
        self._clock = RedisClock(check_clock(clock))
        self._connector = Connector(redis)
        self._lane = open_lane(self._connector, role="scheduler")
        self._outage = Outage(str(self._connector))
        self._entries: dict[str, Entry] = {}
        registry = Registry(self._lane)
        self._publisher = Publisher(
            *(registry, self._clock, self._outage, lambda: list(self._entries.values())),
            heartbeat=check_seconds("heartbeat", heartbeat, least=0.01),
            set_clock=partial(self._clock.set, self._lane),
        )
        self._ticker = Ticker(
            *(Ticks(self._lane, self._clock), registry, self._clock, self._outage),
            *(lambda: list(self._entries.values()), Hooks(pre_enqueue, post_enqueue)),
            layers=check_client_middleware(middleware),
            payload_limit=payload_limit,
            within=check_seconds("missed_within", missed_within),
            set_clock=partial(self._clock.set_once, self._lane),
        )
        self._state = SchedulerState.NEW
        self._task: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._failure: Exception | None = None

    def register(self, spec: str, task: Task, **options: Unpack[EntryOptions]) -> str:
        """Enqueue a task at each time of a spec, with these options on top of the task's own.

        Entries that agree in spec, zone, task and options are the same entry in all schedulers, and so are
        those of one `name`: of each time only one scheduler enqueues it. Allowed at any time; times before
        are made up only for entries that are registered before the start.

        Returns: the ID of the entry, in this scheduler. Raises: InvalidOptionError: nothing is registered.
        """
        if self._state is SchedulerState.CLOSED:
            raise ServerStateError("the scheduler is closed")
        entry = self._entry(spec, task, options)
        if self._state is SchedulerState.ACTIVE:
            entry.advance(int(self._clock.time()))
        self._entries[entry.id] = entry
        self._ticker.wake()
        return entry.id

    def unregister(self, entry_id: str) -> None:
        """Enqueue no more for this entry. Raises: InvalidOptionError: there is none of this ID."""
        if self._entries.pop(entry_id, None) is None:
            raise InvalidOptionError("entry_id", entry_id, "the ID of an entry that is registered")
        self._publisher.forget(entry_id)

    @property
    def state(self) -> str:
        """new, active or closed."""
        return self._state

    @property
    def next_at(self) -> float:
        """When an entry is due next, Unix seconds; it may be over. Infinity if none ever is."""
        return min((entry.due_at for entry in self._entries.values()), default=math.inf)

    async def serve(self) -> None:
        """Work until TERM or INT, or `shutdown()`. With `handle_signals=False` signals are left alone.

        Raises: ServerStateError: started before. BrokerError: Redis denies access.
        """
        self._activate()
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            if self._handle_signals:
                group.start_soon(self._obey_signals)
            try:
                await self._run()
            except Exception as error:  # raised below as it is: here the group would wrap it
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def start(self) -> None:
        """Work in the background of this event loop, without touching signals.

        Does not wait for Redis. A later failure is logged at once, and told by `wait_closed()` and
        `shutdown()`. Raises: ServerStateError: started before.
        """
        self._activate()
        # a bare task, as there is no block to hold it: shutdown() awaits it
        self._task = asyncio.create_task(self._run_unattended(), name="asynq-py scheduler")

    async def shutdown(self) -> None:
        """End: finish what is being enqueued, leave the list of schedulers, and close. Idempotent.

        Raises what made the scheduler fail, if it did.
        """
        self._begin_end()
        if self._task is not None:
            await self._task
        elif self._state is SchedulerState.NEW:
            self._state = SchedulerState.CLOSED
            await self._close()
            self._ended.set()
        else:
            await self._ended.wait()

    async def aclose(self) -> None:
        """The same as `shutdown()`."""
        await self.shutdown()

    async def wait_closed(self) -> None:
        """Wait until the scheduler has ended, by `shutdown()` or of its own. Does not end it.

        Raises what made the scheduler fail, if it did. ServerStateError: not started.
        """
        if self._state is SchedulerState.NEW:
            raise ServerStateError(f"the scheduler is {self._state}")
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    async def ping(self) -> None:
        """Ask Redis for an answer. Raises: BrokerUnavailableError."""
        await self._lane.call("PING")

    async def tick_once(self) -> None:
        """Enqueue what is due now, without starting: one step, for tests and for loops of your own."""
        await self._ticker.tick_once()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    # -- entries ----------------------------------------------------------------------------------------

    def _entry(self, spec: str, task: Task, given: EntryOptions) -> Entry:
        entry = build(spec, task, given, timezone=self._timezone, missed=self._missed)
        check_size(task, self._payload_limit, whose="Scheduler's payload_limit")
        taken = {other.identity for other in self._entries.values()}
        if given.get("name") is not None and entry.identity in taken:
            raise InvalidOptionError("name", entry.identity, "a name that no other entry has")
        # entries that are alike are told apart by their number, which is the same in every replica
        number, derived = 1, entry.identity
        while entry.identity in taken:
            number += 1
            entry.identity = f"{derived}:{number}"
        return entry

    # -- life -------------------------------------------------------------------------------------------

    def _activate(self) -> None:
        if self._state is not SchedulerState.NEW:
            raise ServerStateError(f"the scheduler is {self._state}; a scheduler is started once")
        self._state = SchedulerState.ACTIVE
        self._ticker.begin()

    def _begin_end(self) -> None:
        if self._state is SchedulerState.ACTIVE:
            self._state = SchedulerState.CLOSED
            self._ticker.end()

    async def _obey_signals(self) -> None:
        async for number in signals():
            if number.name != "SIGTSTP":  # there is nothing to fetch, so nothing to stop fetching
                logger.info("got %s", number.name)
                self._begin_end()

    async def _run_unattended(self) -> None:
        try:
            await self._run()
        except Exception as error:  # nobody may be waiting for it
            logger.error("the scheduler has failed: %r", error, exc_info=error)
            raise

    async def _run(self) -> None:
        try:
            await self._check_access()
            logger.info("scheduling %d entries at %s", len(self._entries), self._connector)
            async with running(self._publisher):
                await self._ticker.run()
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._state = SchedulerState.CLOSED
            with anyio.CancelScope(shield=True):
                await self._close()
            self._ended.set()

    async def _close(self) -> None:
        await self._lane.aclose()
        await self._connector.aclose()

    async def _check_access(self) -> None:
        """Fail now if Redis denies us; but an absent Redis is waited for."""
        try:
            await self.ping()
            await self._clock.set(self._lane)
        except BrokerUnavailableError as error:
            self._outage.noticed(error)
