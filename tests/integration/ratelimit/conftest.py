"""Time stands still in 2100 until a test moves it, as for tests of the broker."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from tests.clock import ManualClock
from tests.state import NOW


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


async def spans(redis: Redis) -> dict[str, float]:
    """All keys of limits, and how many seconds they last; -1: for ever."""
    keys = [key.decode() async for key in redis.scan_iter("asynq:limit:*")]
    return {key: await redis.pttl(key) / 1000 for key in keys}
