"""Q-13: completing a task whose ID was in completed already took it off active, then failed."""

from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, dump, kept, lease, message_of, seed, state


async def test_q13_a_task_completes_though_its_id_is_in_completed_already(
    broker: Broker, redis: Redis
) -> None:
    left_over = {"asynq:{q}:completed": {"a": NOW - 9}}
    await seed(redis, state(active=[kept("a", lease(7))]) | left_over)

    answers = await broker.complete("q", [(Owned("a", 7), "", message_of("a"), int(NOW) + 60)])

    assert answers == [True]
    assert await dump(redis) == state(completed=[kept("a", NOW + 60)], processed=1)
