"""The tokens of Go's x/rate. Behaviour 15.4, wire format 2.4."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py.broker.lanes import open_lane
from asynq_py.broker.semaphores import Semaphores
from asynq_py.connection import Connector
from tests.clock import ManualClock
from tests.state import NOW

KEY = "asynq:sema:mail"


@pytest.fixture
async def semaphores(redis_url: str, clock: ManualClock) -> AsyncGenerator[Semaphores]:
    connector = Connector(redis_url)
    lane = open_lane(connector, role="test")
    yield Semaphores(lane, clock)
    await lane.aclose()
    await connector.aclose()


async def acquire(semaphores: Semaphores, task_id: str, *, for_seconds: int = 10) -> bool:
    """One of two."""
    deadline = int(NOW) + for_seconds
    return await semaphores.acquire_token("mail", task_id, max_tokens=2, deadline=deadline)


async def test_a_token_is_the_id_of_a_task_with_its_deadline(semaphores: Semaphores, redis: Redis) -> None:
    assert await acquire(semaphores, "a")
    assert await redis.zrange(KEY, 0, -1, withscores=True) == [(b"a", NOW + 10)]
    assert await redis.ttl(KEY) == -1  # as in Go


async def test_when_all_are_taken_nothing_is_changed(semaphores: Semaphores, redis: Redis) -> None:
    await acquire(semaphores, "a")
    await acquire(semaphores, "b")
    assert not await acquire(semaphores, "c")
    assert await redis.zrange(KEY, 0, -1) == [b"a", b"b"]


async def test_a_token_is_free_one_second_after_the_deadline(
    semaphores: Semaphores, clock: ManualClock
) -> None:
    await acquire(semaphores, "a")
    await acquire(semaphores, "b", for_seconds=60)
    clock.advance(10.9)
    assert not await acquire(semaphores, "c")
    clock.advance(0.1)
    assert await acquire(semaphores, "c", for_seconds=60)


async def test_a_task_that_has_a_token_keeps_it_with_its_new_deadline(
    semaphores: Semaphores, redis: Redis
) -> None:
    await acquire(semaphores, "a")
    await acquire(semaphores, "b")
    assert await acquire(semaphores, "a", for_seconds=20)
    assert await redis.zrange(KEY, 0, -1, withscores=True) == [(b"b", NOW + 10), (b"a", NOW + 20)]


async def test_a_token_is_given_back_once(semaphores: Semaphores) -> None:
    await acquire(semaphores, "a")
    await acquire(semaphores, "b")
    assert await semaphores.release_token("mail", "a")
    assert not await semaphores.release_token("mail", "a")
    assert await acquire(semaphores, "c")
