"""Schedulers that share a Redis and a clock which the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest

from asynq_py import Scheduler
from tests.clock import ManualClock
from tests.state import NOW

MakeScheduler: TypeAlias = Callable[..., Scheduler]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW - NOW % 3600)


@pytest.fixture
async def make_scheduler(redis_url: str, clock: ManualClock) -> AsyncGenerator[MakeScheduler]:
    async with AsyncExitStack() as stack:

        def make(url: str = redis_url, **options: Any) -> Scheduler:
            scheduler = Scheduler(url, clock=clock, **options)
            stack.push_async_callback(scheduler.aclose)
            return scheduler

        yield make
