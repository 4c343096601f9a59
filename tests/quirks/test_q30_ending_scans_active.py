"""Q-30: ending a task searched the whole list of active ones, from the wrong end."""

from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import kept, lease, seed, state


async def test_q30_a_task_is_searched_from_where_the_oldest_ones_are(broker: Broker, redis: Redis) -> None:
    """Seen from outside by an ID that is there twice: the one taken off is the one next to the tail."""
    await seed(redis, state(active=[kept("a", lease(7)), kept("b", lease(7))]))
    await redis.delete("asynq:{q}:active")
    await redis.rpush("asynq:{q}:active", "a", "b", "a")

    await broker.done("q", [(Owned("a", 7), "")])

    assert await redis.lrange("asynq:{q}:active", 0, -1) == [b"a", b"b"]
