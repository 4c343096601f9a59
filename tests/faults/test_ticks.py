"""What an earlier time of a periodic task left behind. F74."""

from __future__ import annotations

from redis.asyncio import Redis

from asynq_py import ActiveTask, Scheduler, Server, SkipRetry, Task
from tests.books import books
from tests.clock import ManualClock
from tests.eventually import eventually


async def test_a_time_whose_task_is_in_the_archive_keeps_no_later_one_from_being_enqueued(
    redis_url: str, redis: Redis, clock: ManualClock
) -> None:
    """F74: each time has an ID of its own."""

    async def fail(task: ActiveTask) -> None:
        raise SkipRetry

    scheduler = Scheduler(redis_url, clock=clock)
    scheduler.register("* * * * *", Task("t"))
    await scheduler.tick_once()
    async with Server(redis_url, fail):
        for number in range(1, 4):
            clock.advance(60)
            await scheduler.tick_once()
            await eventually(lambda: books(redis), lambda seen, n=number: len(seen.archived) == n)  # type: ignore[misc]
    await scheduler.aclose()
