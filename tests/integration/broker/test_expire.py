from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from tests.state import NOW, dump, kept, seed, state


async def test_completed_tasks_are_forgotten_when_their_time_is_over(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(completed=[kept("a", NOW - 1), kept("b", NOW), kept("c", NOW + 1)]))

    assert await broker.expire("q", 100) == 2

    assert await dump(redis) == state(completed=[kept("c", NOW + 1)])


async def test_a_step_is_bounded_and_takes_the_oldest(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(completed=[kept(i, NOW - 10 + n) for n, i in enumerate("abc")]))

    assert await broker.expire("q", 2) == 2
    assert await dump(redis) == state(completed=[kept("c", NOW - 8)])
    assert await broker.expire("q", 2) == 1
    assert await broker.expire("q", 2) == 0
    assert await dump(redis) == {}
