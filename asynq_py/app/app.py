"""App: holds typed tasks, and builds client, server and scheduler for them. Has no logic of theirs."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self, Unpack

from asynq_py.app.connections import Outlet
from asynq_py.app.executors import Processes
from asynq_py.app.handle import TaskHandle
from asynq_py.app.home import Home
from asynq_py.app.router import Router
from asynq_py.app.running import handler_of, parking
from asynq_py.app.signature import Signature
from asynq_py.app.typed_task import handle_of
from asynq_py.client import Client
from asynq_py.client_middleware import ClientMiddleware, check_client_middleware
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import EnqueueError
from asynq_py.inspector import Inspector
from asynq_py.middleware import Middleware, check_middleware
from asynq_py.mux import ServeMux
from asynq_py.options import TaskOptions
from asynq_py.scheduler.scheduler import Scheduler, SchedulerOptions
from asynq_py.server.config import ServerOptions
from asynq_py.server.server import Server
from asynq_py.task import Task


class App(Router):
    """Tasks made of functions.

    `redis`: a URL, a RedisConfig or a live client; left out, `$ASYNQ_REDIS_URL` or localhost. `prefix`,
    options: as for a Router, for all tasks.

    It connects when a task is enqueued, once for each event loop. `async with app:` or `aclose()` ends that;
    else it ends with the loop, where `asyncio.run` ends it.

    Raises: InvalidOptionError.
    """

    def __init__(
        self, redis: RedisSource = None, *, prefix: str = "", **options: Unpack[TaskOptions]
    ) -> None:
        if redis is not None:
            Connector(redis)  # a mistake is told here
        self._redis = redis
        self._outlet = Outlet(redis)
        self._middleware: list[Middleware] = []
        super().__init__(prefix, **options)

    def _make_home(self, prefix: str, options: TaskOptions) -> Home:
        return super()._make_home(prefix, options).with_outlet(self._outlet)

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
        return [
            answer
            if isinstance(answer, EnqueueError)
            else handle_of(here, known.get(answer.type, anything), answer)
            for answer in await here.client.enqueue_many(tasks)
        ]

    def mux(self) -> ServeMux:
        """Make a mux with a handler for each task, for a Server of your own, or with other handlers beside.

        Raises: InvalidOptionError: a type or alias is in use twice; an annotation means nothing.
        """
        mux = ServeMux()
        mux.use(*self._middleware)
        processes = Processes()
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
        return Server(self._redis, parking(self.mux()), **config)

    def scheduler(self, **options: Unpack[SchedulerOptions]) -> Scheduler:
        """Make a scheduler with all that `cron` decorates. Start one in every replica if you like.

        Raises: InvalidOptionError.
        """
        scheduler = Scheduler(self._redis, **options)
        for entry in self._all_entries():
            scheduler.register(entry.spec, entry.task.task(), **entry.options)
        return scheduler

    async def aclose(self) -> None:
        """Close what is open for the running event loop. Idempotent; it opens again when it is used."""
        await self._outlet.aclose()

    async def __aenter__(self) -> Self:
        self._outlet.here()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
