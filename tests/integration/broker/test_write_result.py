from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from tests.state import dump, kept, lease, seed, state


async def test_a_running_task_keeps_the_last_result(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]))

    assert await broker.write_result("q", "a", 7, b"half") is True
    assert await broker.write_result("q", "a", 7, b"\x00whole\xff") is True

    assert await dump(redis) == state(active=[kept("a", lease(7), fields={"result": b"\x00whole\xff"})])


async def test_a_task_that_is_gone_is_not_made_anew(broker: Broker, redis: Redis) -> None:
    assert await broker.write_result("q", "a", 7, b"late") is False
    assert await dump(redis) == {}


async def test_a_lease_without_a_message_makes_no_task(broker: Broker, redis: Redis) -> None:
    before = state(active=[kept("a", lease(7))])
    del before["asynq:{q}:t:a"]
    await seed(redis, before)

    assert await broker.write_result("q", "a", 7, b"late") is False
    assert await dump(redis) == before
