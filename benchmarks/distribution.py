"""Samples of several turns as one distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.adapter import Answer


def pooled(answers: Sequence[Answer]) -> list[float]:
    """Milliseconds, sorted."""
    return sorted(sample * 1e3 for answer in answers for sample in answer.samples)


def percentile(answers: Sequence[Answer], percent: float) -> float | None:
    """In milliseconds: the least sample that so many of all do not exceed."""
    samples = pooled(answers)
    if not samples:
        return None
    return samples[max(0, math.ceil(len(samples) * percent / 100) - 1)]
