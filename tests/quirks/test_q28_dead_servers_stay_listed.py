"""Q-28: servers and schedulers that crashed stayed in the lists until somebody looked at them."""

import time
from typing import Any

from redis.asyncio import Redis

from asynq_py import ActiveTask, Scheduler, Server
from tests.eventually import eventually


async def test_q28_a_living_server_drops_dead_ones_from_the_lists(redis_url: str, redis: Redis) -> None:
    alive = time.time() + 3600
    await redis.zadd("asynq:servers", {"dead": 5, "other": alive})
    await redis.zadd("asynq:workers", {"dead": 5, "other": alive})

    async def handler(task: ActiveTask) -> None: ...

    async def listed() -> list[Any]:
        return [*await redis.zrange("asynq:servers", 0, -1), *await redis.zrange("asynq:workers", 0, -1)]

    async with Server(redis_url, handler):
        assert b"other" in await eventually(listed, lambda names: b"dead" not in names)


async def test_q28_a_living_scheduler_drops_dead_ones_from_the_list(redis_url: str, redis: Redis) -> None:
    await redis.zadd("asynq:schedulers", {"dead": 5, "other": time.time() + 3600})

    async def listed() -> list[Any]:
        return await redis.zrange("asynq:schedulers", 0, -1)

    async with Scheduler(redis_url):
        assert b"other" in await eventually(listed, lambda names: b"dead" not in names)
