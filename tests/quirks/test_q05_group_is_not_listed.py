"""Q-05: a retry that went back into its group did not list the group, so no aggregator saw it."""

from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from tests.state import NOW, dump, kept, seed, state


async def test_q05_a_retry_that_goes_back_into_its_group_lists_the_group(
    broker: Broker, redis: Redis
) -> None:
    task = kept("a", NOW, fields={"group": "g"})
    await seed(redis, state(retry=[task]))

    await broker.forward("q")

    assert await dump(redis) == state(groups={"g": [task]})
