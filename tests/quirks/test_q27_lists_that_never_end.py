"""Q-27: a heartbeat that is no multiple of half a second gave a list of entries without an end."""

from __future__ import annotations

from typing import cast

import pytest
from redis.asyncio import Redis

from asynq_py import Scheduler, Task
from tests.eventually import eventually


@pytest.mark.parametrize("heartbeat", [0.01, 0.7, 1.3, 10])
async def test_q27_a_list_of_entries_ends_by_itself_whatever_the_heartbeat(
    redis_url: str, redis: Redis, heartbeat: float
) -> None:
    scheduler = Scheduler(redis_url, heartbeat=heartbeat)
    scheduler.register("@daily", Task("t"))
    async with scheduler:
        (key,) = cast("list[bytes]", await eventually(lambda: redis.zrange("asynq:schedulers", 0, -1)))
        await eventually(lambda: redis.exists(key))
        assert 2 * heartbeat - 1 <= await redis.ttl(key) <= 2 * heartbeat + 2
