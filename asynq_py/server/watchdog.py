"""Watchdog: notices, from another thread, that an event loop is blocked, and says by what."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import traceback
from typing import Final

import anyio

from asynq_py.server.attempt import Attempt
from asynq_py.server.inflight import InFlight
from asynq_py.server.own_loop import Outside

logger = logging.getLogger(__name__)

TICK: Final = 0.25  # seconds between looks
BLOCKED: Final = 1.0  # seconds without a sign of life after which a loop counts as blocked
FRAMES: Final = 16  # of the stack that are shown, the innermost ones
NAMED: Final = 5  # running tasks that are named


class Watchdog:
    """Asks the loop for a sign of life at every look, and waits for that before it asks again.

    `blocked_for`: seconds since the loop last gave one, zero if it does. Counted by our own looks, so that a
    process which was stopped or suspended as a whole is not mistaken for one whose loop is blocked.
    """

    def __init__(self, outside: Outside, inflight: InFlight) -> None:
        self._outside = outside
        self._inflight = inflight
        self._has_answered = True
        self._is_reported = False
        self._looked_at = 0.0
        self.blocked_for = 0.0

    async def run(self) -> None:
        while True:
            self.look_once()
            await anyio.sleep(TICK)

    def look_once(self) -> None:
        now = time.monotonic()
        elapsed, self._looked_at = min(now - self._looked_at, 2 * TICK), now
        if self._has_answered:
            if self._is_reported:
                logger.warning("the event loop was blocked for about %.1f s; it goes on", self.blocked_for)
            self.blocked_for, self._is_reported, self._has_answered = 0.0, False, False
            self._outside.loop.call_soon_threadsafe(self._answer)
            return
        self.blocked_for += elapsed
        if self.blocked_for >= BLOCKED and not self._is_reported:
            self._is_reported = True
            self._report()

    def _answer(self) -> None:
        self._has_answered = True

    def _report(self) -> None:
        current = asyncio.current_task(self._outside.loop)
        running = [attempt for attempt in self._inflight if attempt.is_running]
        guilty = [_named(attempt) for attempt in running if attempt.task is current]
        frame = sys._current_frames().get(self._outside.thread)
        logger.warning(
            "the event loop has been blocked for %.1f s, by %s; nothing else runs meanwhile. "
            "%d tasks in progress: %s. Stack:\n%s",
            self.blocked_for,
            guilty[0] if guilty else current,
            len(running),
            ", ".join(map(_named, running[:NAMED])) + (" …" if len(running) > NAMED else ""),
            "".join(traceback.format_list(traceback.extract_stack(frame)[-FRAMES:])) if frame else "unknown",
        )


def _named(attempt: Attempt) -> str:
    return f"task {attempt.id} ({attempt.message.type})"
