"""Reporter: writes how far a try has come, as often as others care to look."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

from asynq_py.clock import Clock
from asynq_py.errors import AsynqError

logger = logging.getLogger(__name__)

INTERVAL: Final = 0.5  # seconds between two reports that are written
PATIENCE: Final = 1.0  # seconds in which the last one must be written, or the outcome goes first


class Reporter:
    """The first report is written at once, the last one before the outcome, and of those between at most one
    in INTERVAL. `write` says whether the task is still ours.

    Reports may come from any thread; all else happens on the loop.
    """

    def __init__(
        self, write: Callable[[bytes], Awaitable[bool]], clock: Clock, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._write = write
        self._clock = clock
        self._loop = loop
        self._latest: bytes | None = None
        self._written: bytes | None = None
        self._is_awake = False
        self._is_closed = False
        self._is_lost = False
        self._next_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def report(self, data: bytes) -> None:
        """Remember a report, which replaces the one before if that is not written yet."""
        self._latest = data
        if self._is_awake or self._is_closed or self._is_lost:
            return
        self._is_awake = True
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            self._wake()
        else:
            self._loop.call_soon_threadsafe(self._wake)

    async def close(self) -> None:
        """Write the last report, if it is not; what is reported from now on is not."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            async with asyncio.timeout(PATIENCE):
                if self._writing is not None:
                    await self._writing
                await self._put(self._latest)
        except TimeoutError:
            logger.debug("the last progress of a task could not be written in time")

    def _wake(self) -> None:
        if self._timer is not None or self._writing is not None or self._is_closed:
            return
        wait = self._next_at - self._clock.monotonic()
        if wait > 0:
            self._timer = self._loop.call_later(wait, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._timer = None
        self._writing = self._loop.create_task(self._write_latest(), name="asynq-py progress")

    async def _write_latest(self) -> None:
        self._next_at = self._clock.monotonic() + INTERVAL
        await self._put(self._latest)
        self._writing = None
        self._is_awake = False  # and only then look: what another thread reports now wakes us itself
        if self._latest is not self._written and not self._is_lost:
            self._is_awake = True
            self._wake()

    async def _put(self, data: bytes | None) -> None:
        if data is None or data is self._written or self._is_lost:
            return
        self._written = data
        try:
            if not await self._write(data):
                self._is_lost = True
        except AsynqError as error:  # the next one will do
            logger.debug("the progress of a task could not be written: %s", error)
