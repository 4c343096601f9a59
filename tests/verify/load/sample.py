"""What a worker tells of itself, and what a row of that says. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

MIB: Final = 1 << 20
STEEPEST: Final = 0.5  # MiB a minute
LARGEST: Final = 0.05  # growth of memory, of what it was after the warm-up
TOLERANCE: Final = 2  # tasks of asyncio, threads, files more or fewer than at first


class Sample(NamedTuple):
    """`at`: seconds. `rss`: bytes. `p50`, `p99`: seconds from enqueueing to the handler."""

    at: float
    done: int
    rss: int
    tasks: int
    threads: int
    files: int
    p50: float
    p99: float


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of none it is 0."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def slope(samples: Sequence[Sample]) -> float:
    """How memory grows, in MiB a minute, by least squares."""
    if len(samples) < 2:
        return 0.0
    mean_at = sum(s.at for s in samples) / len(samples)
    mean = sum(s.rss for s in samples) / len(samples)
    over = sum((s.at - mean_at) ** 2 for s in samples)
    return sum((s.at - mean_at) * (s.rss - mean) for s in samples) / over * 60 / MIB


def growth(samples: Sequence[Sample]) -> float:
    """By which share of it memory grew: the last fifth of the samples against the first, by their medians."""
    fifth = max(1, len(samples) // 5)
    first, last = (sorted(s.rss for s in part)[fifth // 2] for part in (samples[:fifth], samples[-fifth:]))
    return last / first - 1


def is_flat(samples: Sequence[Sample]) -> bool:
    """Does memory stay as it is? A steep slope in a short time is noise unless something has really grown."""
    return slope(samples) < STEEPEST or growth(samples) < LARGEST


def spread(values: Sequence[int]) -> int:
    """How far values lie apart, the odd one in twenty left out: a sample may fall into a moment of change."""
    ordered = sorted(values)
    cut = math.floor(len(ordered) * 0.025)
    kept = ordered[cut : len(ordered) - cut]
    return kept[-1] - kept[0]
