"""How many tasks to take ahead of free slots, so that none is idle while a fetch is on its way. Pure."""

from __future__ import annotations

import math
from typing import Final

WEIGHT: Final = 0.3  # of the newest measurement
MARGIN: Final = 2.0  # above what is used up during one fetch, on average
SHORTEST: Final = 1e-6  # seconds between two fetches: below that a rate means nothing
WORTHWHILE: Final = 0.5  # tasks used up during one fetch, below which none are taken ahead
SUPPLY: Final = 0.006  # seconds that the tasks ahead last at least, so that fetches are few and large


class LookAhead:
    """Tasks that end in quick succession want the next ones at hand; slow ones want none, since a task must
    not wait here while a worker elsewhere is free. So: as many as end during one fetch, or some milliseconds.

    `most`: never more than this.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rate = 0.0  # tasks that end per second
        self._fetch = 0.0  # seconds
        self._ended = 0
        self._since = 0.0

    def ended(self) -> None:
        """A task has ended."""
        self._ended += 1

    def fetched(self, seconds: float, now: float) -> None:
        """A fetch took so long. `now`: seconds of a clock that never goes back."""
        span = max(now - self._since, SHORTEST)
        self._rate += (self._ended / span - self._rate) * WEIGHT
        self._fetch += (seconds - self._fetch) * WEIGHT
        self._ended, self._since = 0, now

    def reset(self) -> None:
        """What was taken ahead had to wait: take no more until tasks end quickly again."""
        self._rate = 0.0

    @property
    def target(self) -> int:
        used_up = self._rate * self._fetch
        if used_up < WORTHWHILE:
            return 0
        return min(self._most, math.ceil(max(used_up * MARGIN, self._rate * SUPPLY)))
