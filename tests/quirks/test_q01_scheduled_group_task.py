"""Q-01: a task with both a group and a time was scheduled without its group, and later ran alone."""

from redis.asyncio import Redis

from asynq_py import Client, Task
from asynq_py.broker.broker import Broker
from tests.clock import ManualClock
from tests.state import NOW, dump, kept, state


async def test_q01_a_task_with_a_group_and_a_time_joins_its_group_at_that_time(
    redis_url: str, broker: Broker, redis: Redis, clock: ManualClock
) -> None:
    async with Client(redis_url, clock=clock) as client:
        await client.enqueue(Task("t"), queue="q", task_id="a", group="g", process_in=60)
    message = {"retry": 25, "timeout": 1800, "group_key": "g"}
    waiting = kept("a", NOW + 60, **message, fields={"group": "g"})
    assert await dump(redis) == state(scheduled=[waiting], registered=True)

    clock.advance(60)
    await broker.forward("q")

    assert await dump(redis) == state(groups={"g": [waiting]}, registered=True)
