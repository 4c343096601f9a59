"""Says once when Redis goes away and once when it is back, and waits between attempts meanwhile."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Awaitable, Callable
from typing import NoReturn

import anyio

from asynq_py.errors import BrokerError, BrokerUnavailableError

logger = logging.getLogger(__name__)

SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 1.0  # so that work goes on within two seconds of Redis being back


class Outage:
    """What the parts of one process, in whatever thread, know together about whether Redis is there."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._is_away = False
        self._saying = threading.Lock()

    @property
    def is_away(self) -> bool:
        return self._is_away

    def noticed(self, error: BrokerUnavailableError) -> None:
        if self._changes(to=True):
            logger.warning("Redis at %s is away, waiting for it: %s", self._place, error)

    def over(self) -> None:
        if self._is_away and self._changes(to=False):
            logger.warning("Redis at %s is back", self._place)

    def _changes(self, *, to: bool) -> bool:
        with self._saying:
            before, self._is_away = self._is_away, to
            return before is not to


class Backoff:
    """Pauses that grow from 50 ms to 1 s, with full jitter, until something works again."""

    def __init__(self) -> None:
        self._longest = SHORTEST_PAUSE

    def reset(self) -> None:
        self._longest = SHORTEST_PAUSE

    def next(self) -> float:
        """Seconds to wait now."""
        pause = random.uniform(self._longest / 2, self._longest)
        self._longest = min(self._longest * 2, LONGEST_PAUSE)
        return pause


async def every(
    pause: Callable[[], float], step: Callable[[], Awaitable[object]], outage: Outage
) -> NoReturn:
    """Do a step, wait, and so on until cancelled. The only periodic loop there is.

    `pause`: seconds until the next step. An absent Redis is noticed, a refused command logged, and the next
    step comes as usual; any other error is a bug and ends the process's work.
    """
    while True:
        try:
            await step()
        except BrokerUnavailableError as error:
            outage.noticed(error)
        except BrokerError as error:
            logger.error("%s", error)
        else:
            outage.over()
        await anyio.sleep(pause())
