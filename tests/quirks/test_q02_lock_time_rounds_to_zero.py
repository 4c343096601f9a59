"""Q-02: the time of a lock was cut off to whole seconds, and 0 made the script fail."""

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Task
from tests.clock import ManualClock


@pytest.mark.parametrize("moment", [0.0, 0.25, 0.999])
async def test_q02_a_lock_of_one_second_and_a_time_close_by_give_a_lock(
    redis_url: str, redis: Redis, clock: ManualClock, moment: float
) -> None:
    clock.advance(moment)
    async with Client(redis_url, clock=clock) as client:
        await client.enqueue(Task("t"), queue="q", unique=1, process_in=0.001)

    assert 0 < await redis.pttl("asynq:{q}:unique:t:") <= 1001
