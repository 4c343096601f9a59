"""Ticker: enqueues the tasks of entries when they are due."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import anyio

from asynq_py.broker.registry import Registry
from asynq_py.broker.ticks import Taken, Tick, Ticks
from asynq_py.client_middleware import ClientMiddleware, fold, scheduling
from asynq_py.clock import Clock
from asynq_py.errors import (
    AsynqError,
    BrokerError,
    BrokerUnavailableError,
    DuplicateTaskError,
    EnqueueError,
    InvalidOptionError,
    TaskIDConflictError,
)
from asynq_py.info import TaskInfo, task_info
from asynq_py.outage import Outage
from asynq_py.scheduler.entry import Entry, Firing
from asynq_py.submission import submission
from asynq_py.task import Task, check_size
from asynq_py.task_ids import TaskIDs
from asynq_py.tracebacks import writable
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import SchedulerEnqueueEvent, decode_task, encode, set_instant
from asynq_py.wire.state import TaskState

logger = logging.getLogger(__name__)
logger.addFilter(writable)

BeforeEnqueue: TypeAlias = "Callable[[Task], Awaitable[None] | None]"
AfterEnqueue: TypeAlias = "Callable[[Task, TaskInfo | None, AsynqError | None], Awaitable[None] | None]"

LONGEST_PAUSE: Final = 1.0  # seconds; the clock may be set, or the machine sleep, at any time
RETRY_PAUSE: Final = 0.5  # seconds between attempts while Redis is away
PATIENCE: Final = 5.0  # seconds given to what is under way at the end
TURN: Final = 5.0  # seconds in which whose turn it is may prepare a task, before others do

_ERRORS = (Exception, SystemExit, KeyboardInterrupt)  # the latter two would end the whole process


@dataclass(frozen=True, slots=True)
class Hooks:
    """The user's callbacks. What goes wrong in them is logged, and never costs a task."""

    before: BeforeEnqueue | None
    after: AfterEnqueue | None

    async def call_before(self, task: Task) -> None:
        if self.before is not None:
            await self._call(self.before, task)

    async def call_after(self, task: Task, info: TaskInfo | None, error: AsynqError | None) -> None:
        if self.after is not None:
            await self._call(self.after, task, info, error)

    async def _call(self, hook: Callable[..., Awaitable[None] | None], *told: object) -> None:
        try:
            answer = hook(*told)
            if inspect.isawaitable(answer):
                await answer
        except _ERRORS:
            logger.exception("a hook of the scheduler failed")


class Ticker:
    """`entries`: those of the moment. `layers`: the user's middleware. `payload_limit`: of what it makes.
    `within`: seconds after which a missed time is let go. `set_clock`: by that of Redis, before an entry is
    due for the first time.
    """

    def __init__(
        self,
        ticks: Ticks,
        registry: Registry,
        clock: Clock,
        outage: Outage,
        entries: Callable[[], Iterable[Entry]],
        hooks: Hooks,
        *,
        layers: Sequence[ClientMiddleware],
        payload_limit: int,
        within: float,
        set_clock: Callable[[], Awaitable[object]],
    ) -> None:
        self._ticks = ticks
        self._registry = registry
        self._clock = clock
        self._outage = outage
        self._entries = entries
        self._hooks = hooks
        self._layers = layers
        self._payload_limit = payload_limit
        self._within = within
        self._set_clock = set_clock
        self._begun_at = clock.monotonic()
        self._ids = TaskIDs()
        self._wake = asyncio.Event()
        self._is_ending = False

    def begin(self) -> None:
        """From now on times count for entries that no scheduler has had before."""
        self._begun_at = self._clock.monotonic()  # the time of day may yet be set

    def wake(self) -> None:
        """Look at the entries now: they have changed."""
        self._wake.set()

    def end(self) -> None:
        """Begin nothing more; `run` ends with what is under way."""
        self._is_ending = True
        self._wake.set()

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            while not self._is_ending:
                self._wake.clear()
                for entry in self._due():
                    entry.is_busy = True
                    group.start_soon(self._follow, entry)
                with anyio.move_on_after(self._pause()):
                    await self._wake.wait()
            group.cancel_scope.deadline = anyio.current_time() + PATIENCE

    async def tick_once(self) -> None:
        """Enqueue what is due now: one step."""
        async with anyio.create_task_group() as group:
            for entry in self._due():
                entry.is_busy = True
                group.start_soon(self._follow, entry)

    def _due(self) -> list[Entry]:
        now = self._clock.time()
        return [entry for entry in self._entries() if not entry.is_busy and entry.is_due(now)]

    def _pause(self) -> float:
        now, pause = self._clock.time(), LONGEST_PAUSE
        for entry in self._entries():
            if not entry.is_busy and entry.is_due(now):
                pause = min(pause, RETRY_PAUSE)
            elif not entry.is_busy:
                pause = min(pause, entry.due_at - now)
        return pause

    async def _follow(self, entry: Entry) -> None:
        """Enqueue what is due of one entry. What finds no Redis is due again with the next look."""
        try:
            if entry.last is None:
                await self._set_clock()
                await self._resume(entry)
            for at in entry.due(self._clock.time(), within=self._within):
                if not await self._fire(entry, at):
                    break
        except BrokerUnavailableError as error:
            self._outage.noticed(error)
        except BrokerError as error:
            logger.error("entry %s (%s): %s", entry.spec, entry.task.type, error)
        else:
            self._outage.over()
            self._wake.set()
        finally:
            entry.is_busy = False

    async def _resume(self, entry: Entry) -> None:
        """Go on where any scheduler was, or begin now."""
        last = await self._ticks.last(entry.options.queue, entry.identity)
        entry.previous = last
        begun_at = self._clock.time() - (self._clock.monotonic() - self._begun_at)
        entry.advance(begun_at if last is None else last)

    async def _fire(self, entry: Entry, at: int) -> bool:
        """Enqueue the task of a time. Returns False if that must wait, and so must later times."""
        entry.tried = at
        before = entry.firing
        if before is not None and before.at == at:
            await self._store(entry, before)  # repeated as it was, so that Redis knows it again
            return True
        if before is not None:
            logger.warning(
                "entry %s (%s): Redis was away until the next time was due", entry.spec, entry.task.type
            )
            await self._hooks.call_after(entry.task, None, before.error)
            entry.firing = None
        if self._layers:
            return await self._is_our_turn(entry, at) and await self._fire_through_layers(entry, at)
        await self._hooks.call_before(entry.task)
        await self._store(entry, self._firing(entry, at, entry.task))
        return True

    async def _is_our_turn(self, entry: Entry, at: int) -> bool:
        """Middleware should run once for a time, too: so somebody goes first, for a while.

        That is a courtesy. Who enqueues is settled where the task is stored.
        """
        is_ours, last = await self._ticks.take_turn(entry.options.queue, entry.identity, at, seconds=TURN)
        if last is not None and at < last + max(entry.schedule.spacing, 1):
            entry.previous = last
            entry.advance(last)
            return False
        if not is_ours:
            entry.not_before = self._clock.time() + RETRY_PAUSE
        return is_ours

    async def _fire_through_layers(self, entry: Entry, at: int) -> bool:
        failure: BrokerUnavailableError | BrokerError | None = None

        async def store(tasks: Sequence[Task]) -> list[TaskInfo | EnqueueError]:
            nonlocal failure
            if len(tasks) != 1:
                raise InvalidOptionError("middleware", f"{len(tasks)} tasks", "one for a time of an entry")
            try:
                self._check(entry, tasks[0])
                firing = self._firing(entry, at, tasks[0])
                return [await self._store(entry, firing)]
            except (BrokerUnavailableError, BrokerError) as error:
                failure = error
                return [_because(error, entry)]
            except InvalidOptionError as error:
                return [_because(error, entry)]

        await self._hooks.call_before(entry.task)
        try:
            with scheduling(at):
                (answer,) = await fold(self._layers, store)([entry.task])
        except _ERRORS:
            logger.exception("a middleware of the scheduler failed with %s (%s)", entry.spec, entry.task.type)
            if failure is None and not entry.is_past(at):
                entry.not_before = self._clock.time() + TURN
                return False
        else:
            if failure is None and not entry.is_past(at):  # nothing was sent: it was kept back, or is unfit
                entry.advance(at)
                if isinstance(answer, TaskInfo):
                    await self._hooks.call_after(entry.task, answer, None)
                else:
                    await self._hooks.call_after(entry.task, None, answer)
        if failure is not None:
            raise failure
        return True

    def _check(self, entry: Entry, task: Task) -> None:
        """What a middleware may have made of a task. Raises: InvalidOptionError."""
        queue = entry.options.queue
        if task.options.queue != queue:
            raise InvalidOptionError(
                "queue", task.options.queue, f"{queue!r}, where the times of its entry are"
            )
        check_size(task, self._payload_limit, whose="Scheduler's payload_limit")

    def _firing(self, entry: Entry, at: int, task: Task) -> Firing:
        options = task.options
        item = submission(
            task,
            options,
            keys=QueueKeys(options.queue),
            task_id=options.task_id or self._ids.next(),
            now=self._clock.time(),
        )
        entry.firing = Firing(at, item)
        return entry.firing

    async def _store(self, entry: Entry, firing: Firing) -> TaskInfo | EnqueueError:
        """Returns what became of it."""
        tick = Tick(entry.identity, firing.at, entry.schedule.spacing, firing.token, entry.keep())
        item = firing.submission
        try:
            taken, last = await self._ticks.enqueue_tick(
                item.options.queue,
                tick,
                item.entry,
                state=item.state,
                process_at=int(item.process_at),
                group=item.options.group or "",
                until="" if item.rule is None else item.rule.until,
            )
        except (BrokerUnavailableError, BrokerError) as error:
            firing.error = error
            raise
        entry.firing = None
        entry.previous = last
        entry.advance(last)
        return await self._tell(entry, firing, taken)

    async def _tell(self, entry: Entry, firing: Firing, taken: Taken) -> TaskInfo | EnqueueError:
        """Tell user and history what became of a time that was ours."""
        item = firing.submission
        where = {"queue": item.options.queue, "task_id": item.entry.id}
        if taken is Taken.BY_ANOTHER:
            return DuplicateTaskError(**where, by="time")
        if taken is not Taken.STORED:
            error = TaskIDConflictError(**where) if taken is Taken.ID_IN_USE else DuplicateTaskError(**where)
            logger.warning("entry %s (%s): %s", entry.spec, entry.task.type, error)
            await self._hooks.call_after(entry.task, None, error)
            return error
        next_at = None if item.state is TaskState.AGGREGATING else item.process_at
        info = task_info(decode_task(item.entry.message, **where), state=item.state, next_process_at=next_at)
        await self._hooks.call_after(entry.task, info, None)
        now = self._clock.time()
        event = SchedulerEnqueueEvent(task_id=item.entry.id)
        set_instant(event.enqueue_time, now)
        try:
            await self._registry.record_enqueue(
                entry.id, encode(event), now=now, ttl=max(limits.HISTORY_TTL, entry.keep())
            )
        except (BrokerUnavailableError, BrokerError) as error:
            logger.warning("entry %s (%s): not in its history: %s", entry.spec, entry.task.type, error)
        return info


def _because(cause: Exception, entry: Entry) -> EnqueueError:
    error = EnqueueError(str(cause), queue=entry.options.queue, task_id=entry.options.task_id or "")
    error.__cause__ = cause
    return error
