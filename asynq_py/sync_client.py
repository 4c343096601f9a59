"""SyncClient: the Client for code that runs no event loop. It drives the real one on a loop in a thread."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack

from asynq_py.client import Client
from asynq_py.client_middleware import ClientMiddleware, check_client_middleware
from asynq_py.connection import RedisSource
from asynq_py.errors import EnqueueError
from asynq_py.info import TaskInfo
from asynq_py.options import TaskOptions
from asynq_py.task import Task
from asynq_py.wire import limits

T = TypeVar("T")


class SyncClient:
    """Enqueues tasks from plain code. Safe for use by many threads, whose calls share round trips.

    Arguments, results and errors: as Client. After `os.fork()` the child gets a connection of its own.
    """

    def __init__(
        self,
        redis: RedisSource = None,
        *,
        timeout: float = 5.0,
        payload_limit: int = limits.PAYLOAD_LIMIT,
        durability: Literal["none", "replica"] = "none",
        replicas: int = 1,
        replica_timeout: float = 1.0,
        middleware: Iterable[ClientMiddleware] = (),
    ) -> None:
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

    def enqueue(self, task: Task, **options: Unpack[TaskOptions]) -> TaskInfo:
        """Store a task and return how it stands. Raises: as Client.enqueue."""
        return self._run(lambda client: client.enqueue(task, **options))

    def enqueue_many(
        self, tasks: Iterable[Task], **options: Unpack[TaskOptions]
    ) -> list[TaskInfo | EnqueueError]:
        """Store many tasks in few round trips; answers in order. Raises: as Client.enqueue_many."""
        tasks = list(tasks)  # a generator must not run in the other thread
        return self._run(lambda client: client.enqueue_many(tasks, **options))

    def ping(self) -> None:
        """Ask Redis for an answer. Raises: BrokerUnavailableError."""
        self._run(lambda client: client.ping())

    def close(self) -> None:
        """Finish what is under way and close the connection. Idempotent; a later call connects again."""
        with self._starting:
            loop, self._loop = self._loop, None
            if loop is None or self._pid != os.getpid():
                return
            asyncio.run_coroutine_threadsafe(self._client.aclose(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            self._client = self._make()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        client, loop = self._running()
        return asyncio.run_coroutine_threadsafe(call(client), loop).result()

    def _running(self) -> tuple[Client, asyncio.AbstractEventLoop]:
        if self._pid != os.getpid():  # a forked child: the thread, and whoever held the lock, stayed behind
            self._client, self._loop = self._make(), None
            self._pid, self._starting = os.getpid(), threading.Lock()
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # a daemon: a program that forgets to close still ends
                threading.Thread(target=_run, args=(self._loop,), name="asynq-py-client", daemon=True).start()
            return self._client, self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()
