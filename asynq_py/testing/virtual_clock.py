"""VirtualClock: a clock that stands still until it is told to move."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TypeAlias

from asynq_py.clock import instant
from asynq_py.errors import InvalidOptionError
from asynq_py.options import Duration, check_seconds

Span: TypeAlias = Duration


class VirtualClock:
    """Begins now, or at `now`. Both its times are Unix seconds."""

    def __init__(self, now: datetime | None = None) -> None:
        if now is not None and now.utcoffset() is None:
            raise InvalidOptionError("now", now, "a datetime with a time zone, such as datetime.now(UTC)")
        self._now = time.time() if now is None else now.timestamp()

    @property
    def now(self) -> datetime:
        return instant(self._now)

    def time(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def move_to(self, moment: float) -> None:
        """Never back."""
        self._now = max(self._now, moment)


def seconds_of(span: Span, option: str = "by") -> float:
    """Seconds of a number, a timedelta, or text such as "90s", "1h30m", "2d". Raises: InvalidOptionError."""
    return check_seconds(option, span)
