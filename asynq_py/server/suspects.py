"""Suspects: tasks that are put aside if one more worker is lost on them. Reliability: F30.

When a task kills its process, everything that ran beside it counts a lost worker too. Before that can cost an
innocent task its life, suspects are kept apart: a server has one of them in flight at a time, and begins it
only when the others that came with it are back in Redis. So the next loss convicts the culprit alone.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from asynq_py.clock import Clock
from asynq_py.server.attempt import Attempt
from asynq_py.server.inflight import InFlight
from asynq_py.server.outcome import Postpone, Requeue
from asynq_py.server.slots import Slots
from asynq_py.server.syncer import Syncer
from asynq_py.wire import limits

LOOK: Final = 0.02  # seconds between looks whether the others are gone
LATER: Final = (1, 3)  # seconds until the others come back; varied, so that they do not come all at once


class Suspects:
    """`slots` runs them."""

    def __init__(self, slots: Slots, syncer: Syncer, inflight: InFlight, clock: Clock) -> None:
        self._slots = slots
        self._syncer = syncer
        self._inflight = inflight
        self._clock = clock
        self._chosen: Attempt | None = None
        self._timer: asyncio.Handle | None = None

    @staticmethod
    def has(crashes: int) -> bool:
        """Is a task one of them, on which so many workers were lost?"""
        return crashes >= limits.POISON_LIMIT - 1

    def accept(self, attempt: Attempt) -> None:
        """Run a suspect, or put it off while there is another. It must be in flight."""
        if self._chosen in self._inflight:
            at = int(self._clock.time()) + random.randint(*LATER)
            self._syncer.put(attempt, Postpone(attempt.owned, at))
        else:
            self._chosen = attempt
            self._timer = asyncio.get_running_loop().call_soon(self._look)  # when its whole fetch is here

    def hand_back(self) -> None:
        """Let other workers have the one that has not begun."""
        if self._timer is not None and self._chosen is not None:
            self._timer.cancel()
            self._timer = None
            self._syncer.put(self._chosen, Requeue(self._chosen.owned))

    def _look(self) -> None:
        self._timer = None
        chosen = self._chosen
        if chosen is None:
            return
        if any(self.has(other.crashes) and other is not chosen for other in self._inflight):
            self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)
        else:
            self._slots.accept(chosen)
