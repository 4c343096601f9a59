"""Q-39: every scheduler enqueued every time of an entry that several have."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from asynq_py import Scheduler, Task
from tests.clock import ManualClock


async def test_q39_of_each_time_one_task_is_enqueued_however_many_schedulers_there_are(
    redis_url: str, redis: Redis
) -> None:
    clock = ManualClock()
    schedulers = [Scheduler(redis_url, clock=clock) for _ in range(5)]
    for scheduler in schedulers:
        scheduler.register("* * * * *", Task("t"))
        scheduler.register("@every 60s", Task("t"), queue="every")
        await scheduler.tick_once()
    for _ in range(20):
        clock.advance(60)
        await asyncio.gather(*(scheduler.tick_once() for scheduler in schedulers))
    for scheduler in schedulers:
        await scheduler.aclose()
    assert await redis.llen("asynq:{default}:pending") == 20
    assert await redis.llen("asynq:{every}:pending") == 20
