"""What a queue did lately: rates from counters that only grow, for sparklines. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from asynq_py import QueueInfo

LENGTH: Final = 60  # looks that are kept of each queue


@dataclass(frozen=True, slots=True)
class Trend:
    """The last looks at a queue, oldest first."""

    looks: tuple[QueueInfo, ...] = ()

    def after(self, info: QueueInfo) -> Trend:
        """Add a look. One at the same moment takes the place of the last."""
        kept = self.looks
        if kept and kept[-1].looked_at >= info.looked_at:
            kept = kept[:-1]
        return Trend((*kept, info)[-LENGTH:])

    @property
    def processed(self) -> list[float]:
        """Tries a second that ended between two looks, failed ones among them."""
        return [_rate(a, b, b.processed_total - a.processed_total) for a, b in pairwise(self.looks)]

    @property
    def failed(self) -> list[float]:
        """Tries a second that failed between two looks."""
        return [_rate(a, b, b.failed_total - a.failed_total) for a, b in pairwise(self.looks)]

    @property
    def latency(self) -> list[float]:
        """Seconds that the next task had waited, at each look."""
        return [info.latency for info in self.looks]


def _rate(before: QueueInfo, after: QueueInfo, count: int) -> float:
    """A queue that was deleted counts from 0 again: that is no rate below 0."""
    return max(0, count) / (after.looked_at - before.looked_at).total_seconds()
