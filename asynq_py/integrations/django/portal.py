"""Portal: a client and an inspector on an event loop in a thread, for plain and asynchronous code alike."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from asynq_py import Client, Inspector

T = TypeVar("T")


class Running:
    """What one process has open. It lasts as long as the process: the thread is a daemon."""

    def __init__(self, redis: str | None) -> None:
        self.pid = os.getpid()
        self.client = Client(redis)
        self.inspector = Inspector(redis)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="asynq-py-django", daemon=True)
        self._thread.start()

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    async def _close(self) -> None:
        await self.client.aclose()
        await self.inspector.aclose()

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()


class Portal:
    """Django makes a backend for each thread; they share this. A forked child gets connections of its own."""

    def __init__(self, redis: str | None) -> None:
        self._redis = redis
        self._running: Running | None = None
        self._starting = threading.Lock()
        self._pid = os.getpid()

    def call(self, work: Callable[[Client, Inspector], Coroutine[Any, Any, T]]) -> T:
        """For plain code."""
        running = self._here()
        return asyncio.run_coroutine_threadsafe(
            work(running.client, running.inspector), running.loop
        ).result()

    async def acall(self, work: Callable[[Client, Inspector], Coroutine[Any, Any, T]]) -> T:
        """For code that runs in an event loop."""
        running = self._here()
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(work(running.client, running.inspector), running.loop)
        )

    def close(self) -> None:
        """Close what is open. Idempotent; it opens again when it is used."""
        with self._starting:
            running, self._running = self._running, None
        if running is not None and running.pid == os.getpid():
            running.end()

    def _here(self) -> Running:
        if self._pid != os.getpid():  # whoever held the lock stayed behind
            self._pid, self._starting = os.getpid(), threading.Lock()
        with self._starting:
            if self._running is None or self._running.pid != os.getpid():
                self._running = Running(self._redis)
            return self._running


@functools.cache
def portal_to(redis: str | None) -> Portal:
    """The one of this process for a URL."""
    return Portal(redis)
