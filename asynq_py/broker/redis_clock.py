"""RedisClock: this machine's clock, set by that of Redis where it is wrong. Reliability F27.

Leases and the times of tasks only mean something if all who share a Redis agree on what time it is. A server
whose clock is an hour ahead would take every running task for lost; one an hour behind would lose its own.
"""

from __future__ import annotations

import logging
from typing import Final

from asynq_py.broker.faults import is_withheld
from asynq_py.broker.lane import Sender
from asynq_py.clock import Clock, SystemClock
from asynq_py.errors import BrokerError

logger = logging.getLogger(__name__)

TOLERATED: Final = 1.0  # seconds; most scores are whole ones


class RedisClock:
    """Shows the time of `clock`, until `set` finds that wrong by more than a second. One that a user gave is
    believed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = 0.0
        self._is_set = self._is_final = not isinstance(clock, SystemClock)

    def time(self) -> float:
        return self._clock.time() - self._ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def set_once(self, lane: Sender) -> None:
        """Set it unless that has been done. Raises: as `set`."""
        if not self._is_set:
            await self.set(lane)

    async def set(self, lane: Sender) -> None:
        """Compare it with the clock of Redis. Raises: BrokerUnavailableError."""
        if self._is_final:
            return
        asked_at = self._clock.time()
        try:
            seconds, microseconds = await lane.call("TIME")
        except BrokerError as error:
            self._is_set = self._is_final = is_withheld(error)
            logger.info("our clock is not compared with that of Redis: %s", error)
            return
        took = self._clock.time() - asked_at
        ahead = asked_at + took / 2 - int(seconds) - int(microseconds) / 1e6
        if abs(ahead) <= TOLERATED + took / 2:
            ahead = 0.0
        if abs(ahead - self._ahead) > TOLERATED:
            self._tell(ahead)
            self._ahead = ahead
        self._is_set = True

    def _tell(self, ahead: float) -> None:
        if ahead:
            where = "ahead of" if ahead > 0 else "behind"
            logger.warning("our clock is %.0f s %s that of Redis, which is used", abs(ahead), where)
        else:
            logger.warning("our clock agrees with that of Redis again")
