"""Rehearsal: tasks run on a real Redis, but only when a test says so, and time moves only when it is told to.

The parts are those of a Server; here nothing loops in the background. A step at a time, what is due is done:
cron entries, scheduled tasks and retries, leases that ended, groups, and then the tasks themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Final, Self, Unpack

from asynq_py.active_task import ActiveTask, CancelReason
from asynq_py.client import Client
from asynq_py.client_middleware import ClientMiddleware
from asynq_py.connection import RedisSource
from asynq_py.errors import AsynqError, InvalidOptionError, QueueNotFoundError, TaskNotFoundError
from asynq_py.handler import AsyncHandler, Handler, as_async
from asynq_py.info import TaskInfo
from asynq_py.inspector import Inspector
from asynq_py.lifespan import set_app_state
from asynq_py.mux import ServeMux
from asynq_py.scheduler.scheduler import Scheduler
from asynq_py.server.config import ServerOptions
from asynq_py.server.server import Server
from asynq_py.suggestion import meant_by
from asynq_py.testing.book import Enqueued, Which, dumped_result, types_of
from asynq_py.testing.bookkeeper import Bookkeeper
from asynq_py.testing.database import database
from asynq_py.testing.ran import Ran
from asynq_py.testing.stage import Stage
from asynq_py.testing.trouble import Trouble, WorkerLost
from asynq_py.testing.virtual_clock import Span, VirtualClock, seconds_of
from asynq_py.wire.state import TaskState

LOOK: Final = 0.005  # seconds between looks for tasks that running ones may have enqueued
ROUNDS: Final = 10_000  # of work at one moment, after which it can have no end


class Rehearsal(Bookkeeper):
    """Runs what a server would run, when it is told to.

    `handler`: a ServeMux, or a function of one ActiveTask; or a Server, which is played as it is; of an App:
    `app.test()`. `redis`: left out, a database of the embedded server, which all rehearsals of the process
    share; else one that is empty, or may be emptied (`flush`). `now`: where time begins; left out, now.
    `patience`: seconds, real ones, in which a task must end or sleep. `types`: all that there are, so that a
    misspelt one is found. Options: as of a Server.

    `enqueued` and its assertions know what went through `client`, the scheduler, or the App; what others
    enqueue they know when it runs.

    Use it as an async context manager.

    Raises: InvalidOptionError.
    """

    def __init__(
        self,
        handler: Handler | Server,
        redis: RedisSource = None,
        *,
        now: datetime | None = None,
        patience: float = 10.0,
        flush: bool = False,
        middleware: Iterable[ClientMiddleware] = (),
        types: Collection[str] | None = None,
        **config: Unpack[ServerOptions],
    ) -> None:
        self.clock = VirtualClock(now)
        super().__init__(self.clock)
        server = handler.replace(**config) if isinstance(handler, Server) else Server(None, handler, **config)
        self._server = server
        self._handler = server.handler
        self._config = replace(server.config, clock=self.clock)
        self._redis = redis
        self._patience = patience
        self._may_flush = flush
        self._types = types
        self.middleware: Sequence[ClientMiddleware] = [*middleware, self.write_down]
        self._stack = AsyncExitStack()
        self._stage: Stage | None = None
        self._state: object = None  # of the lifespan
        self._busy = asyncio.Lock()
        self._ran: list[Ran] = []
        self._troubles: dict[str, deque[Trouble]] = {}
        self._stubs: dict[str, AsyncHandler] = {}

    # -- what a test looks at ---------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.clock.now

    @property
    def redis(self) -> RedisSource:
        """Where the tasks are: for a Client, SyncClient or Inspector of your own."""
        return self._on_stage.redis

    @property
    def client(self) -> Client:
        return self._on_stage.client

    @property
    def inspector(self) -> Inspector:
        return self._on_stage.inspector

    def new_inspector(self) -> Inspector:
        """Make one more, to be closed by whoever asks: it reaches the tasks that run here."""
        return self._on_stage.new_inspector()

    @property
    def scheduler(self) -> Scheduler:
        """Its entries are enqueued while time moves."""
        return self._on_stage.scheduler

    @property
    def ran(self) -> list[Ran]:
        """All tries so far, in the order in which they began."""
        return list(self._ran)

    def runs(self, task: Which) -> list[Ran]:
        """The tries of a task."""
        return [ran for ran in self._ran if ran.type in types_of(task)]

    async def archived(self, task: Which | None = None) -> list[TaskInfo]:
        """What was put aside for good: all, or of one task."""
        found: list[TaskInfo] = []
        for queue in await self.inspector.queues():
            with suppress(QueueNotFoundError):
                found += [info async for info in self.inspector.tasks(queue, TaskState.ARCHIVED)]
        return [info for info in found if task is None or info.type in types_of(task)]

    # -- what a test brings about -----------------------------------------------------------------------

    def failing(
        self,
        task: Which,
        error: BaseException | type[BaseException] = RuntimeError,
        *,
        times: int | None = 1,
    ) -> None:
        """Let the next tries of a task fail, without running it. `times`: None for all that come.

        Raises: InvalidOptionError: no such task is handled here, or the error cannot be raised.
        """
        self._put(task, Trouble.of(error, times))

    def crashing(self, task: Which, *, times: int | None = 1) -> None:
        """Let the workers of the next tries be lost, as if killed: the task is left to its lease.

        Raises: InvalidOptionError: no such task is handled here.
        """
        self._put(task, Trouble.lost(times))

    def stub(self, task: Which, handler: Handler | None = None, *, returns: object = None) -> None:
        """Let a handler stand in for that of a task, which may be elsewhere. Or let it return `returns`.

        Raises: InvalidOptionError: the app has no task of this type. PayloadError: it returns something else.
        """
        if self._types is not None and isinstance(task, str) and task not in self._types:
            raise _unknown(task, self._types, more="; one of another program is given as `Task(…)`")
        if handler is None:
            handler = partial(_answer, b"" if returns is None else dumped_result(task, returns))
        for task_type in types_of(task):
            self._stubs[task_type] = as_async(handler)

    async def run_until_idle(self) -> list[Ran]:
        """Run all that is due, and what that enqueues, until nothing is. Returns the tries that ran.

        Time stands still, except that a task which sleeps is woken at the time it wants.

        Raises: AssertionError: a task neither ends nor sleeps.
        """
        return await self._play(None)

    async def advance(self, by: Span) -> list[Ran]:
        """Move time on: seconds, a timedelta, or "90s", "1h30m", "2d". Returns the tries that ran.

        On the way all that falls due is done, each at its time: scheduled tasks, retries, cron entries,
        groups, ends of leases and of retention, timeouts, and what tasks sleep for.

        Raises: AssertionError: there is work without end. InvalidOptionError.
        """
        return await self._play(self.clock.time() + seconds_of(by))

    async def advance_to(self, moment: datetime) -> list[Ran]:
        """The same, to a moment. Raises: InvalidOptionError: it has no time zone, or is over."""
        return await self.advance(VirtualClock(moment).time() - self.clock.time())

    def clear(self) -> None:
        """Forget what was enqueued and ran so far. Tasks that wait go on waiting."""
        super().clear()
        self._ran.clear()

    @property
    def is_below(self) -> bool:
        """Does the caller run below a task of this rehearsal?"""
        return self._stage is not None and self._stage.timers.is_here

    def real_time(self) -> AbstractContextManager[None]:
        """Let the caller, below a task, go by the clock of the event loop while the block runs."""
        return self._on_stage.timers.outside()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            redis = await stack.enter_async_context(database()) if self._redis is None else self._redis
            if self._config.lifespan is not None:
                self._state = await stack.enter_async_context(self._config.lifespan())
            companions = self._server.companions(redis, self._config)
            self._handler = self._server.handler
            for companion in companions:
                self._handler = companion.around(self._handler)
            stage = Stage(
                redis,
                self._handle,
                self._config,
                self.clock,
                middleware=self.middleware,
                companions=companions,
            )
            stack.push_async_callback(stage.aclose)
            await stage.make_empty(may_flush=self._may_flush or self._redis is None)
            stack.enter_context(stage.timers.in_place())
            self._stage = stage
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self._stage = None

    @property
    def _on_stage(self) -> Stage:
        if self._stage is None:
            raise AsynqError("a rehearsal is used inside its `async with`")
        return self._stage

    # -- the play ---------------------------------------------------------------------------------------

    async def _play(self, until: float | None) -> list[Ran]:
        stage = self._on_stage
        if self.is_below:
            raise AsynqError("a task cannot move the time that it runs in; only the test can")
        async with self._busy:
            before = len(self._ran)
            while True:
                await self._do_what_is_due(stage, waits=until is None)
                last = until
                if last is None:  # as far as those who sleep want it
                    last = stage.timers.next_at() if stage.running else self.clock.time()
                if last <= self.clock.time():
                    return self._ran[before:]
                await stage.move_to(min(last, await stage.next_at()))

    async def _do_what_is_due(self, stage: Stage, *, waits: bool) -> None:
        for _ in range(ROUNDS):
            await stage.do_what_is_due()
            if not await self._run_tasks(stage, waits=waits):
                return
        raise AssertionError(f"there is no end of work at {self.now}; the last was {self._ran[-1]}")

    async def _run_tasks(self, stage: Stage, *, waits: bool) -> bool:
        """Run what is pending, until every task that runs has ended or sleeps. Returns: did anything?"""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._patience
        did = False
        while True:
            stage.slots.changed.clear()
            wanted = stage.slots.wanted()
            taken = await stage.parts.processor.fetch_once(wanted) if wanted else 0
            await asyncio.sleep(0)
            before = len(stage.parts.inflight)
            await stage.parts.syncer.flush_once()
            if taken or len(stage.parts.inflight) != before:
                did, give_up_at = True, loop.time() + self._patience
            elif stage.is_calm:
                await self._see_what_became(stage)
                return did
            elif loop.time() < give_up_at:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await stage.slots.changed.wait()
            elif waits:
                raise AssertionError(self._told_of_stuck(stage))
            else:
                stage.hanging |= stage.awake

    async def _see_what_became(self, stage: Stage) -> None:
        """Of the tasks whose tries have ended."""
        ended, stage.ended = stage.ended, []
        answers: Sequence[TaskInfo | BaseException] = await asyncio.gather(
            *(self.inspector.task_info(ran.queue, ran.id) for ran in ended), return_exceptions=True
        )
        for ran, answer in zip(ended, answers, strict=True):
            if isinstance(answer, TaskInfo):
                ran.state = answer.state
            elif not isinstance(answer, TaskNotFoundError | QueueNotFoundError):
                raise answer

    def _told_of_stuck(self, stage: Stage) -> str:
        stuck = ", ".join(f"{ran.type} {ran.id}" for ran in stage.awake)
        return (
            f"after {self._patience:g} real seconds there is no end of {stuck}: it waits for something other "
            "than time. Let its timeout come with `advance()`, or allow more `patience`"
        )

    # -- what stands around the handlers ----------------------------------------------------------------

    async def _handle(self, active: ActiveTask) -> None:
        stage = self._on_stage
        ran = Ran(
            type=active.type,
            id=active.id,
            queue=active.queue,
            payload=active.payload,
            retried=active.retried,
            at=self.now,
        )
        self._ran.append(ran)
        stage.running.add(ran)
        if not self._book.knows(active.queue, active.id):
            self._book.add(_seen(active, self.now))
        if self._config.lifespan is not None:
            set_app_state(self._state)
        token = stage.timers.enter(ran)
        try:
            await self._try(stage, active)
        except BaseException as error:
            ran.error = _named(active, error)
            raise
        finally:
            stage.timers.leave(token)
            stage.running.discard(ran)
            stage.hanging.discard(ran)
            stage.ended.append(ran)

    async def _try(self, stage: Stage, active: ActiveTask) -> None:
        trouble = next((trouble for trouble in self._troubles.get(active.type, ()) if trouble.take()), None)
        if trouble is None:
            await self._stubs.get(active.type, self._handler)(active)
        elif trouble.cause is not None:
            raise trouble.cause()
        else:
            stage.lose_worker(active)
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError as error:
                raise WorkerLost("as the test wants it") from error

    def _put(self, task: Which, trouble: Trouble) -> None:
        if isinstance(task, str) and task not in self._stubs:
            if self._types is not None:
                if task not in self._types:
                    raise _unknown(task, self._types)
            elif isinstance(self._server.handler, ServeMux) and not self._server.handler.find(task)[1]:
                raise _unknown(task, self._server.handler.patterns)
        for task_type in types_of(task):
            self._troubles.setdefault(task_type, deque()).append(trouble)


async def _answer(result: bytes, active: ActiveTask) -> None:
    if result and active.retention:
        await active.write_result(result)


def _named(active: ActiveTask, error: BaseException) -> BaseException:
    is_late = active.cancel_reason in (CancelReason.TIMEOUT, CancelReason.DEADLINE)
    if is_late and isinstance(error, asyncio.CancelledError):
        return TimeoutError(f"cancelled: {active.cancel_reason}")
    return error


def _unknown(task_type: str, known: Collection[str], *, more: str = "") -> InvalidOptionError:
    meant = meant_by(task_type, known)
    hint = "" if meant is None else f"did you mean {meant!r}? "
    told = ", ".join(sorted(known)) or "none"
    return InvalidOptionError("task", task_type, f"{hint}the tasks that are known here are {told}{more}")


def _seen(active: ActiveTask, now: datetime) -> Enqueued:
    return Enqueued(
        type=active.type,
        id=active.id,
        queue=active.queue,
        payload=active.payload,
        headers=active.headers,
        group=active.group,
        enqueued_at=now,
        process_at=now,
    )
