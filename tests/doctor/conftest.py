"""Time stands still in 2100, for the reason that tests.state.NOW tells."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from asynq_py.broker.survey import Survey
from asynq_py.doctor import Doctor
from tests.clock import ManualClock
from tests.lanes import lane_to
from tests.state import NOW


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def survey(redis_url: str, clock: ManualClock) -> AsyncGenerator[Survey]:
    async with lane_to(redis_url) as lane:
        yield Survey(lane, clock)


@pytest.fixture
async def doctor(redis_url: str, clock: ManualClock) -> AsyncGenerator[Doctor]:
    async with Doctor(redis_url, clock=clock) as doctor:
        yield doctor
