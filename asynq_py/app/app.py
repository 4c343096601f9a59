"""App: holds typed tasks, and builds client, server and scheduler for them. Has no logic of theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from asynq_py.app.carrying import Carrier
from asynq_py.app.connections import HeaderSource, Outlet
from asynq_py.app.dependencies import Overrides, provider_of
from asynq_py.app.eager import Eager, EagerConnections, HereAndNow
from asynq_py.app.executors import Processes
from asynq_py.app.handle import TaskHandle
from asynq_py.app.home import Home
from asynq_py.app.rehearsing import rehearsed
from asynq_py.app.router import Router
from asynq_py.app.running import handler_of, parking
from asynq_py.app.signature import Signature
from asynq_py.app.typed_task import handle_or_error
from asynq_py.client import Client
from asynq_py.client_middleware import ClientMiddleware, check_client_middleware
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import DuplicateTaskError, EnqueueError, InvalidOptionError
from asynq_py.info import TaskInfo
from asynq_py.inspector import Inspector
from asynq_py.lifespan import Lifespan, check_lifespan, reset_app_state, set_app_state
from asynq_py.middleware import Middleware, check_middleware
from asynq_py.mux import ServeMux
from asynq_py.options import Duration, TaskOptions, check_name
from asynq_py.scheduler.scheduler import Scheduler, SchedulerOptions
from asynq_py.server.config import ServerOptions
from asynq_py.server.server import Server
from asynq_py.task import Task
from asynq_py.testing.rehearsal import Rehearsal
from asynq_py.workflows.flow import Flow
from asynq_py.workflows.handle import FlowHandle
from asynq_py.workflows.keeper import keeper_of
from asynq_py.workflows.start import OnError

B = TypeVar("B")


class AppOptions(TaskOptions, total=False):
    """The keyword arguments of App: those of all its tasks, and its own."""

    lifespan: Lifespan | None
    """Makes an async context manager, which each server enters before its first task and leaves after its
    last; what it yields is shared by the tasks: `Shared[…]`, `current_app_state()`."""
    carry: Iterable[ContextVar[Any]]
    """Context variables whose values go with each task, as JSON, to where it is handled."""
    eager: bool
    """Run tasks where they are enqueued, as in a block of `eager()`, always: for tests."""


class App(Router):
    """Tasks made of functions.

    `redis`: a URL, a RedisConfig or a live client; left out, `$ASYNQ_REDIS_URL` or localhost. `prefix`,
    options: as for a Router, for all tasks; and those of AppOptions.

    It connects when a task is enqueued, once for each event loop. `async with app:` or `aclose()` ends that,
    and a closed app refuses calls in that loop; else it ends with the loop, where `asyncio.run` ends it.

    Raises: InvalidOptionError.
    """

    _told = "an app"

    def __init__(
        self,
        redis: RedisSource = None,
        *,
        prefix: str = "",
        **options: Unpack[AppOptions],
    ) -> None:
        lifespan, carry = options.pop("lifespan", None), options.pop("carry", ())
        if redis is not None:
            Connector(redis)  # a mistake is told here
        self._redis = redis
        self._outlet = Outlet(redis)
        self._lifespan = check_lifespan("lifespan", lifespan)
        self._overrides = Overrides()
        self._carrier = Carrier(carry)
        self._middleware: list[Middleware] = []
        eager = options.pop("eager", False)
        super().__init__(prefix, **options)  # type: ignore[misc]  # what a Router does not take is taken out

        if eager:
            self._outlet.turn(partial(EagerConnections, self._eager()))

    def _make_home(self, prefix: str, options: TaskOptions) -> Home:
        return super()._make_home(prefix, options).of_app(self._outlet, self._overrides, self._carrier)

    def _known(self) -> Sequence[str]:
        return ("redis", "prefix", *AppOptions.__annotations__)

    def use(self, *middleware: Middleware) -> None:
        """Add middleware around all tasks of the servers made from now on; the first added is the outermost.

        Raises: InvalidOptionError: it cannot be called.
        """
        for layer in middleware:
            check_middleware(layer)
        self._middleware.extend(middleware)

    def on_enqueue(self, *middleware: ClientMiddleware) -> None:
        """Add middleware around all that this app enqueues; the first added is the outermost.

        Before the first task is enqueued: clients that are open keep what they have.

        Raises: InvalidOptionError: it cannot be called.
        """
        self._outlet.use(check_client_middleware(middleware))

    @contextmanager
    def override(self, source: Callable[..., Any], with_: Callable[..., Any]) -> Iterator[None]:
        """Let another function give what `Depends(source)` gives, while the block runs: for tests.

        `with_`: of the same kinds as for `Depends`: `app.override(open_session, lambda: fake)`.

        Raises: InvalidOptionError: it cannot be called, or needs what nobody gives.
        """
        for given in (source, with_):
            if not callable(given):
                raise InvalidOptionError("override", given, "a function")
        provider_of(with_, {})
        before = self._overrides.put(source, with_)
        try:
            yield
        finally:
            self._overrides.put(source, before)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[Any]:
        """Enter the lifespan here, for direct calls, and for servers of your own, started in the block.

        Yields what it yields. Raises: InvalidOptionError: there is none, or a task asks for another state.
        """
        async with self._checked_lifespan() as state:
            token = set_app_state(state)
            try:
                yield state
            finally:
                reset_app_state(token)

    @asynccontextmanager
    async def _checked_lifespan(self) -> AsyncIterator[object]:
        if self._lifespan is None:
            raise InvalidOptionError("lifespan", None, "a function that makes an async context manager")
        async with self._lifespan() as state:
            for task in self._all_tasks():
                for kind in task.declaration.signature.injections.states(self._overrides):
                    if not isinstance(state, kind):
                        raise InvalidOptionError(
                            "lifespan",
                            type(state).__name__,
                            f"one that yields {kind.__name__}, which task {task.type!r} asks for",
                        )
            yield state

    def mark_flows(self, source: HeaderSource) -> None:
        """Give all steps of a flow the headers that `source()` returns where the flow is enqueued.

        The steps that begin a flow are enqueued there; the others by servers, later, where nobody knows what
        held then. Headers that a step has already are kept.
        """
        self._outlet.mark_flows(source)

    @property
    def client(self) -> Client:
        """The client of the running event loop. Raises: AsynqError: none runs."""
        return self._outlet.here().client

    @property
    def inspector(self) -> Inspector:
        """The inspector of the running event loop. Raises: AsynqError: none runs."""
        return self._outlet.here().inspector

    async def enqueue_many(self, tasks: Iterable[Task]) -> list[TaskHandle[Any] | EnqueueError]:
        """Store calls of many tasks, made by `task()`, in few round trips; answers in order, one fails alone.

        Raises: as Client.enqueue_many.
        """
        here = self._outlet.here()
        known = {task_type: task.declaration.signature for task_type, task in self.tasks.items()}
        anything = Signature.remote(Any, Any)
        answers: list[TaskHandle[Any] | EnqueueError] = []
        for answer in await here.client.enqueue_many(tasks):
            match answer:
                case TaskInfo(type=task_type) | DuplicateTaskError(task_type=task_type):
                    answers.append(handle_or_error(here, known.get(task_type, anything), answer))
                case _:
                    answers.append(answer)
        return answers

    async def enqueue(
        self,
        flow: Flow[object, B],
        *,
        name: str | None = None,
        flow_id: str | None = None,
        on_error: OnError = "finish",
        retention: Duration | None = None,
    ) -> FlowHandle[B]:
        """Store a flow, and let it begin. See Flow.enqueue, which finds the app by itself.

        Raises: as Flow.enqueue.
        """
        return await flow.enqueue_through(
            self._outlet.here(),
            self._outlet,
            name=name,
            flow_id=flow_id,
            on_error=on_error,
            retention=retention,
        )

    def flow(self, flow_id: str) -> FlowHandle[Any]:
        """Take up a flow that was enqueued before. Its result is what JSON makes of it."""
        return FlowHandle(self._outlet.here(), check_name("flow_id", flow_id))

    def mux(self) -> ServeMux:
        """Make a mux with a handler for each task, for a Server of your own, or with other handlers beside.

        Raises: InvalidOptionError: a type or alias is in use twice; an annotation means nothing.
        """
        return self._mux(Processes())

    def _mux(self, processes: Processes, *innermost: Middleware) -> ServeMux:
        mux = ServeMux()
        mux.use(*self._middleware, *innermost)
        for task in self._all_tasks():
            handler = handler_of(task, processes)
            for task_type in (task.type, *task.declaration.aliases):
                mux.handle(task_type, handler)
        return mux

    def server(self, **config: Unpack[ServerOptions]) -> Server:
        """Make a server that runs the tasks of this app, from all queues that they name.

        Tasks of other types are neither failed nor lost: they are tried again every minute, without counting
        a failure, until a server that knows them takes them.

        Raises: InvalidOptionError.
        """
        if "queues" not in config:
            queues = {task.checked_options().queue for task in self._all_tasks()}
            config["queues"] = dict.fromkeys(sorted({"default", *queues}), 1)
        if "lifespan" not in config and self._lifespan is not None:
            config["lifespan"] = self._checked_lifespan
        if config.get("lifespan") is None:
            self._check_no_state()
        server = Server(self._redis, self._mux(Processes(), parking()), **config)
        server.accompany(partial(keeper_of, self._outlet))
        return server

    def scheduler(self, **options: Unpack[SchedulerOptions]) -> Scheduler:
        """Make a scheduler with all that `cron` decorates. Start one in every replica if you like.

        What `on_enqueue` has added is around what it enqueues, outside of its own `middleware`.

        Raises: InvalidOptionError.
        """
        options["middleware"] = [*self._outlet.middleware, *options.get("middleware", ())]
        scheduler = Scheduler(self._redis, **options)
        for entry in self._all_entries():
            scheduler.register(entry.spec, entry.task.task(), **entry.options)
        return scheduler

    # -- for tests --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def test(
        self,
        redis: RedisSource = None,
        *,
        now: datetime | None = None,
        patience: float = 10.0,
        flush: bool = False,
        **config: Unpack[ServerOptions],
    ) -> AsyncIterator[Rehearsal]:
        """Play what a server and a scheduler of this app would do, in a test that says when time passes.

        While the block runs, tasks that are enqueued go to the rehearsal. `redis`, `now`, `patience` and
        `flush`: as of a Rehearsal; options: as of a Server.

        Raises: InvalidOptionError.
        """
        rehearsal = Rehearsal(
            self.server(**config),
            redis,
            now=now,
            patience=patience,
            flush=flush,
            middleware=self._outlet.middleware,
            types=self._all_types(),
        )
        async with rehearsed(rehearsal, self._outlet, self._all_entries()):
            yield rehearsal

    @contextmanager
    def eager(self) -> Iterator[Eager]:
        """Run tasks where they are enqueued, at once, while the block runs: for tests without any server.

        Payloads are made and read as ever, so what does not fit is found. What a task raises is raised where
        it was enqueued. Delays, groups and unique locks have no effect, but are noted.
        """
        eager = self._eager()
        with self._outlet.instead(lambda: EagerConnections(eager)):
            yield eager

    def _eager(self) -> Eager:
        return Eager(lambda: self._mux(HereAndNow()), self._outlet.middleware)

    def _all_types(self) -> frozenset[str]:
        aliases = (alias for task in self._all_tasks() for alias in task.declaration.aliases)
        return frozenset((*self.tasks, *self.remotes, *aliases))

    def _check_no_state(self) -> None:
        for task in self._all_tasks():
            if any(True for _ in task.declaration.signature.injections.states(self._overrides)):
                raise InvalidOptionError("lifespan", None, f"one for the state that {task.type!r} asks for")

    async def aclose(self) -> None:
        """Close what is open for the running event loop. Idempotent.

        After that it refuses calls in this loop, until `async with app:` opens it again.
        """
        await self._outlet.aclose()

    async def __aenter__(self) -> Self:
        self._outlet.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._outlet.leave()  # of blocks in each other the outermost closes it
