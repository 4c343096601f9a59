"""Q-38: an error on one queue hid the queues behind it."""

import asyncio

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task


@pytest.mark.parametrize("strict", [True, False])
async def test_q38_a_queue_that_is_not_in_order_harms_no_other(
    redis_url: str, client: Client, redis: Redis, strict: bool
) -> None:
    await redis.set("asynq:{bad}:pending", "not a list")
    done: asyncio.Queue[str] = asyncio.Queue()

    async def handler(task: ActiveTask) -> None:
        done.put_nowait(task.id)

    async with Server(redis_url, handler, queues={"bad": 10, "good": 1}, strict_priority=strict):
        for task_id in ("a", "b"):
            await client.enqueue(Task("t"), queue="good", task_id=task_id)
            assert await asyncio.wait_for(done.get(), 20) == task_id
