"""Q-26: the history of scheduler entries stayed for ever, after a crash or an end of the entry."""

from __future__ import annotations

from redis.asyncio import Redis

from asynq_py import Scheduler, Task
from tests.eventually import eventually

WEEK = 7 * 86400


async def test_q26_history_ends_by_itself_and_with_its_entry(redis_url: str, redis: Redis) -> None:
    scheduler = Scheduler(redis_url, heartbeat=0.02)
    gone, kept = (scheduler.register("@every 1s", Task(name), queue=name) for name in ("gone", "kept"))
    gone, kept = (f"asynq:scheduler_history:{entry_id}" for entry_id in (gone, kept))
    async with scheduler:
        await eventually(lambda: redis.exists(gone, kept), lambda count: count == 2)
        assert 0 < await redis.ttl(gone) <= WEEK  # had the process been killed now
        scheduler.unregister(gone.rpartition(":")[2])
        await eventually(lambda: redis.exists(gone), lambda count: count == 0)
        assert await redis.exists(kept)
    assert await redis.exists(kept) == 0


async def test_q26_the_history_of_a_rare_entry_lasts_until_its_next_time(
    redis_url: str, redis: Redis
) -> None:
    scheduler = Scheduler(redis_url)
    entry_id = scheduler.register("@every 1s", Task("t"))
    rare = scheduler.register("@every 1000h", Task("t"), queue="rare")
    await scheduler.tick_once()
    entry = scheduler._entries[rare]
    entry.last = (entry.last or 0) - 1000 * 3600  # as if it had been registered that long ago
    entry.advance(entry.last)
    await scheduler.tick_once()
    await scheduler.aclose()
    assert await redis.ttl(f"asynq:scheduler_history:{rare}") > 1000 * 3600 > WEEK
    assert await redis.exists(f"asynq:scheduler_history:{entry_id}") == 0
