"""Worker threads for plain handlers: daemons, so one that never ends cannot keep the process alive."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Runs functions in at most `limit` threads, started when needed and reused.

    The standard pools wait for their threads when the interpreter exits; these do not.
    """

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._started = 0
        self._running = 0

    async def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Wait for a free thread and start the function there, with the caller's context variables."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        future: Future[T] = Future()
        call = contextvars.copy_context().run

        def work() -> None:
            # from here on the future cannot be cancelled, so the answer will find it open
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call(function, *args, **kwargs))
                except StopIteration as error:  # a future of asyncio cannot carry it
                    future.set_exception(RuntimeError(f"the function raised StopIteration: {error}"))
                except BaseException as error:
                    future.set_exception(error)
            _tell(loop, self._ended)

        self._running += 1
        if self._started < self._running:
            self._started += 1
            threading.Thread(target=self._serve, name=f"asynq-py-{self._started}", daemon=True).start()
        self._work.put(work)
        return future

    def close(self) -> None:
        """Let idle threads end; busy ones end after their function."""
        for _ in range(self._started):
            self._work.put(None)

    def _ended(self) -> None:
        self._running -= 1
        self._free.release()

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, and with it whoever waited
        loop.call_soon_threadsafe(call)
