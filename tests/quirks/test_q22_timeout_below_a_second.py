"""Q-22: a timeout below one second became none, a negative one ended every try at once."""

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from asynq_py import Client, InvalidOptionError, Task
from tests.state import dump


@pytest.mark.parametrize("timeout", [0.001, 0.999, timedelta(milliseconds=5)])
async def test_q22_a_timeout_below_a_second_is_one_second(
    client: Client, redis: Redis, timeout: float | timedelta
) -> None:
    await client.enqueue(Task("t"), queue="q", task_id="a", timeout=timeout)

    assert (await dump(redis))["asynq:{q}:t:a"]["msg"]["timeout"] == 1


async def test_q22_a_negative_timeout_is_refused(client: Client, redis: Redis) -> None:
    with pytest.raises(InvalidOptionError, match="timeout"):
        await client.enqueue(Task("t"), queue="q", timeout=-1)

    assert await dump(redis) == {}
