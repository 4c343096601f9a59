"""Q-08: an ID whose hash was lost stayed in active and lease for ever once it had been fetched."""

from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from tests.state import NOW, Hash, dump, kept, lease, seed, state


async def test_q08_a_lost_task_is_dropped_when_fetched_and_the_next_one_taken(
    broker: Broker, redis: Redis
) -> None:
    before = state(pending=[kept("ghost"), kept("a")])
    del before["asynq:{q}:t:ghost"]
    await seed(redis, before)

    tasks = await broker.dequeue("q", 1, expires_at=int(NOW) + 30, token=7)

    assert [task.id for task in tasks or ()] == ["a"]
    assert await dump(redis) == state(active=[kept("a", lease(7))])


async def test_q08_a_ghost_that_a_go_worker_left_is_cleaned_up_when_its_lease_ends(
    broker: Broker, redis: Redis
) -> None:
    ghost = {"asynq:{q}:active": ["ghost"], "asynq:{q}:lease": {"ghost": NOW - 60}}
    await seed(redis, {**ghost, "asynq:{q}:t:ghost": Hash(state="active")})

    await broker.recover("q", ended_by=NOW)

    assert await dump(redis) == {}
