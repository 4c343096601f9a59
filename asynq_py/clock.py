"""Time as an argument: wall-clock time for what peers read, monotonic time for what only we measure."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Both in seconds; `time` since the Unix epoch, `monotonic` since some fixed moment."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...


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
