"""What all screens work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from asynq_py import Inspector


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """`now`: the time that "5m ago" counts from. `is_read_only`: nothing may be changed."""

    inspector: Inspector
    now: Callable[[], datetime] = utc_now
    is_read_only: bool = False
