"""A system at work in this process. Standard library only."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from benchmarks.adapter import Handler, Make, Request
from benchmarks.apart import Apart, Foreign

T = TypeVar("T")


def run(measuring: Awaitable[T]) -> T:
    """Run on a loop that is left as it is: the process ends with its answer, not with its worker."""

    async def whole() -> T:
        return await measuring

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(whole())


class Working:
    """Runs tasks from now on, until `ran` says that it was the last.

    `ran` is called with the payload of each task, in a thread if that is the system's way.
    """

    def __init__(self, make: Make, request: Request, ran: Callable[[bytes], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._ran = ran
        self._work = self._loop.create_task(
            make(request).work(Handler(request.sleep, self._count), self._ended)
        )

    async def until_end(
        self, second: Apart | Foreign, *, end_with_it: bool = False, limit: float = math.inf
    ) -> None:
        """Wait for the last task, for `limit` seconds, or for the end of the second process if asked to.

        Raises: what the worker or the second process failed with.
        """
        ends_at = time.perf_counter() + limit
        while not self._ended.is_set() and time.perf_counter() < ends_at:
            waiting = self._loop.create_task(self._ended.wait())
            await asyncio.wait([waiting, self._work], timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            self.check(second)
            if end_with_it and second.has_ended:
                return

    def check(self, second: Apart | Foreign) -> None:
        """Raise what the worker or the second process failed with, if one did."""
        if self._work.done() and not self._ended.is_set():
            self._work.result()
            raise RuntimeError("the worker ended before its tasks had run")
        if second.has_ended:
            second.wait()

    async def forever(self) -> None:
        await self._work

    def _count(self, payload: bytes) -> None:
        if self._ran(payload):
            self._loop.call_soon_threadsafe(self._ended.set)
