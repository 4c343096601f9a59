"""SyncClient: the Client for code that runs no event loop. It drives the real one on a loop in a thread."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar, Unpack

from asynq_py.client import Client
from asynq_py.client_middleware import ClientMiddleware, check_client_middleware
from asynq_py.connection import RedisSource
from asynq_py.errors import AsynqError, EnqueueError
from asynq_py.info import TaskInfo
from asynq_py.options import Duration, TaskOptions
from asynq_py.task import Task
from asynq_py.wire import limits

T = TypeVar("T")


class SomeFlow(Protocol):
    """A Flow whose first step needs no result."""

    async def enqueue_by(
        self,
        client: Client,
        redis: RedisSource,
        *,
        name: str | None = None,
        flow_id: str | None = None,
        on_error: Literal["finish", "cancel"] = "finish",
        retention: Duration | None = None,
    ) -> str: ...


class SyncClient:
    """Enqueues tasks from plain code. Safe for use by many threads, whose calls share round trips.

    Arguments, results and errors: as Client. After `os.fork()` the child gets a connection of its own.
    """

    def __init__(
        self,
        redis: RedisSource = None,
        *,
        timeout: Duration = 5.0,
        payload_limit: int = limits.PAYLOAD_LIMIT,
        durability: Literal["none", "replica"] = "none",
        replicas: int = 1,
        replica_timeout: Duration = 1.0,
        middleware: Iterable[ClientMiddleware] = (),
    ) -> None:
        self._redis = redis
        self._make = functools.partial(
            Client,
            redis,
            timeout=timeout,
            payload_limit=payload_limit,
            durability=durability,
            replicas=replicas,
            replica_timeout=replica_timeout,
            middleware=check_client_middleware(middleware),
        )
        self._client = self._make()  # checks the arguments here and now
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._starting = threading.Lock()
        self._is_closed = False

    def enqueue(self, task: Task, **options: Unpack[TaskOptions]) -> TaskInfo:
        """Store a task and return how it stands. Raises: as Client.enqueue."""
        return self._run(lambda client: client.enqueue(task, **options))

    def enqueue_many(
        self, tasks: Iterable[Task], **options: Unpack[TaskOptions]
    ) -> list[TaskInfo | EnqueueError]:
        """Store many tasks in few round trips; answers in order. Raises: as Client.enqueue_many."""
        tasks = list(tasks)  # a generator must not run in the other thread
        return self._run(lambda client: client.enqueue_many(tasks, **options))

    def enqueue_flow(
        self,
        flow: SomeFlow,
        *,
        name: str | None = None,
        flow_id: str | None = None,
        on_error: Literal["finish", "cancel"] = "finish",
        retention: Duration | None = None,
    ) -> str:
        """Store a flow of typed tasks, and let it begin. Returns its ID.

        Options and errors: as of Flow.enqueue.
        """
        return self._run(
            lambda client: flow.enqueue_by(
                client, self._redis, name=name, flow_id=flow_id, on_error=on_error, retention=retention
            )
        )

    def ping(self) -> None:
        """Ask Redis for an answer. Raises: BrokerUnavailableError."""
        self._run(lambda client: client.ping())

    def close(self) -> None:
        """Finish what is under way and close the connection. Idempotent; a closed client refuses calls."""
        self._is_closed = True
        if self._pid != os.getpid():  # a forked child: what is open is its parent's
            return
        with self._starting:
            loop, self._loop = self._loop, None
            if loop is None:
                return
            asyncio.run_coroutine_threadsafe(self._client.aclose(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        return self._start(call).result()

    def _check_open(self) -> None:
        if self._is_closed:
            raise AsynqError("this client is closed; make another one")

    def _start(self, call: Callable[[Client], Coroutine[Any, Any, T]]) -> Future[T]:
        if self._pid != os.getpid():  # a forked child: the thread, and whoever held the lock, stayed behind
            self._client, self._loop = self._make(), None
            self._pid, self._starting = os.getpid(), threading.Lock()
        with self._starting:
            self._check_open()
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # a daemon: a program that forgets to close still ends
                threading.Thread(target=_run, args=(self._loop,), name="asynq-py-client", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(call(self._client), self._loop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        while calls := asyncio.all_tasks(loop):  # their client is closed, and their threads wait to be told
            loop.run_until_complete(asyncio.wait(calls))
    finally:
        loop.close()
