"""Q-14: a result written after the task was gone made a hash that blocked the ID for ever."""

import asyncio

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, LeaseExpiredError, Server, Task
from tests.state import dump


async def test_q14_a_result_written_after_the_task_was_deleted_makes_no_hash(
    redis_url: str, client: Client, redis: Redis
) -> None:
    refused = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        await redis.delete("asynq:{q}:t:a", "asynq:{q}:active", "asynq:{q}:lease")
        with pytest.raises(LeaseExpiredError):
            await task.write_result(b"late")
        refused.set()

    async with Server(redis_url, handler, queues=["q"]):
        await client.enqueue(Task("t"), queue="q", task_id="a")
        await asyncio.wait_for(refused.wait(), 20)

    assert [key for key in await dump(redis) if key.startswith("asynq:{q}:t:")] == []
