"""A clock that moves only when told."""

from __future__ import annotations


class ManualClock:
    """Starts at a round moment: 2026-01-02 03:04:05 UTC."""

    def __init__(self, now: float = 1767323045.0) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
