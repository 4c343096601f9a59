"""A dashboard before a Redis at a moment that stands still."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector
from tests.clock import ManualClock
from tests.dash.scene import flows, scene
from tests.state import NOW, seed


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def seeded(redis: Redis) -> Redis:
    """A Redis that holds the scene."""
    await seed(redis, scene())
    return redis


@pytest.fixture
async def flowing(seeded: Redis) -> Redis:
    """A Redis that holds the scene, and flows besides."""
    await seed(seeded, flows())
    return seeded


@pytest.fixture
async def asked(redis_url: str, clock: ManualClock) -> AsyncGenerator[Inspector]:
    """A second inspector, to see what came of it."""
    async with Inspector(redis_url, clock=clock) as inspector:
        yield inspector
