"""Time as an argument: wall-clock time for what peers read, monotonic time for what only we measure."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final, Protocol, runtime_checkable

from asynq_py.errors import InvalidOptionError

# What a datetime can show: peers, and users who mean "never", name moments beyond it.
EARLIEST: Final = datetime.min.replace(tzinfo=UTC).timestamp()
LATEST: Final = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()


@runtime_checkable
class Clock(Protocol):
    """Both in seconds; `time` since the Unix epoch, `monotonic` since some fixed moment."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...


def instant(seconds: float) -> datetime:
    """Make a datetime of Unix seconds; of those that it cannot show, the first or last that it can."""
    return datetime.fromtimestamp(min(max(seconds, EARLIEST), LATEST), UTC)


class SystemClock:
    """The clock of this machine. Its monotonic time counts suspension: leases end while we sleep."""

    def time(self) -> float:
        return time.time()

    if hasattr(time, "CLOCK_BOOTTIME"):

        def monotonic(self) -> float:
            return time.clock_gettime(time.CLOCK_BOOTTIME)

    else:

        def monotonic(self) -> float:
            return time.monotonic()


def check_clock(value: object) -> Clock:
    """Check what was given as `clock`; None is the system's. Raises: InvalidOptionError."""
    if value is None:
        return SystemClock()
    if not isinstance(value, Clock) or isinstance(value, type):
        raise InvalidOptionError("clock", value, "an object with time() and monotonic(), or None")
    return value
