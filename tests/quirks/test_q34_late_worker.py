"""Q-34: a worker that had stood still ended a task that others were running by then."""

from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, dump, kept, lease, seed, state


async def test_q34_a_worker_that_wakes_late_ends_nothing_that_is_anothers(
    broker: Broker, redis: Redis
) -> None:
    await seed(redis, state(active=[kept("a", lease(7, NOW - 6))]))
    await broker.recover("q", ended_by=NOW - 5)
    await broker.dequeue("q", 1, expires_at=int(NOW) + 30, token=8)
    before = await dump(redis)

    assert await broker.done("q", [(Owned("a", 7), "")]) == [False]
    assert await broker.requeue("q", [Owned("a", 7)]) == [False]
    assert await broker.extend("q", [Owned("a", 7)], expires_at=int(NOW) + 60) == [False]
    assert await dump(redis) == before
