"""Q-15: the unique locks of tasks that were aggregated lasted until their time was over."""

from redis.asyncio import Redis

from asynq_py import Client, Task
from asynq_py.broker.groups import Finished, Groups, Rules
from tests.clock import ManualClock


async def test_q15_a_unique_task_can_come_again_once_it_was_aggregated(
    groups: Groups, redis_url: str, redis: Redis, clock: ManualClock
) -> None:
    async with Client(redis_url, clock=clock) as client:
        await client.enqueue(Task("t", b"p"), queue="q", group="g", unique=600)
        taken = await groups.take_set("q", "g", Rules(1, size=1), set_id="s")
        assert taken
        assert await groups.finish_set(taken, None, []) is Finished.YES

        await client.enqueue(Task("t", b"p"), queue="q", group="g", unique=600)
