"""Deadlines: tries that run too long are timed out, by one timer for all of them."""

from __future__ import annotations

import asyncio
import math

from asynq_py.clock import Clock
from asynq_py.server.attempt import Attempt
from asynq_py.server.inflight import InFlight


class Deadlines:
    """Most tries end long before their deadline, so none has a timer of its own: there is one, set to the
    earliest deadline seen, and when it fires it looks at all that are running.
    """

    def __init__(self, inflight: InFlight, clock: Clock) -> None:
        self._inflight = inflight
        self._clock = clock
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, attempt: Attempt) -> None:
        """Time this try out when its deadline comes. It must be in flight."""
        if attempt.deadline < self._due:
            self._set(attempt.deadline)

    def look_once(self) -> None:
        """Time out whose deadline has come."""
        now = self._clock.time()
        waiting = [attempt for attempt in self._inflight if attempt.is_running and not attempt.cancel_reason]
        for attempt in waiting:
            if attempt.deadline <= now:
                attempt.time_out()
        self._set(min((a.deadline for a in waiting if a.deadline > now), default=math.inf))

    def close(self) -> None:
        """Time nothing out any more."""
        self._set(math.inf)

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = due
        if due < math.inf:
            left = max(0.0, due - self._clock.time())
            self._timer = asyncio.get_running_loop().call_later(left, self.look_once)
