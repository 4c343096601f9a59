"""Time as an argument: what may be given."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from asynq_py import (
    Client,
    ConcurrencyLimit,
    Inspector,
    InvalidOptionError,
    RateLimit,
    Scheduler,
    Semaphore,
    Server,
)
from asynq_py.clock import SystemClock
from tests.clock import ManualClock

URL = "redis://localhost:1"
MADE: dict[str, Callable[[Any], object]] = {
    "client": lambda clock: Client(URL, clock=clock),
    "server": lambda clock: Server(URL, print, clock=clock),
    "inspector": lambda clock: Inspector(URL, clock=clock),
    "scheduler": lambda clock: Scheduler(URL, clock=clock),
    "semaphore": lambda clock: Semaphore(URL, "scope", 1, clock=clock),
    "rate limit": lambda clock: RateLimit(URL, "1/s", name="a", clock=clock),
    "concurrency limit": lambda clock: ConcurrencyLimit(URL, 1, name="a", clock=clock),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
@pytest.mark.parametrize(
    "clock", [5, "now", time.time, SystemClock], ids=["number", "text", "function", "class"]
)
def test_what_is_no_clock_is_refused(make: Callable[[Any], object], clock: object) -> None:
    with pytest.raises(InvalidOptionError, match=r"^clock=.* is not allowed: an object with time\(\)"):
        make(clock)


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
@pytest.mark.parametrize("clock", [None, ManualClock(), SystemClock()], ids=["none", "manual", "system"])
def test_none_and_every_clock_is_taken(make: Callable[[Any], object], clock: object) -> None:
    make(clock)
