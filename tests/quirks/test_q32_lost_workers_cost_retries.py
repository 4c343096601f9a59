"""Q-32, Q-33: a lost worker's task came back late and a try poorer, while recoverers got in their own way."""

import asyncio

from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from tests.state import NOW, NOW_NS, dump, kept, lease, seed, state


async def test_q32_a_lost_workers_task_is_next_and_has_as_many_tries_as_before(
    broker: Broker, redis: Redis
) -> None:
    await seed(redis, state(pending=[kept("later")], active=[kept("a", lease(7, NOW - 6))]))

    await broker.recover("q", ended_by=NOW - 5)

    back = kept("a", fields={"pending_since": NOW_NS, "crashes": 1})
    assert await dump(redis) == state(pending=[back, kept("later")])


async def test_q33_of_many_recoverers_each_task_is_taken_by_one(broker: Broker, redis: Redis) -> None:
    ids = [f"{n:03}" for n in range(250)]
    await seed(redis, state(active=[kept(i, lease(7, NOW - 6)) for i in ids]))

    recovered = await asyncio.gather(*(broker.recover("q", ended_by=NOW - 5) for _ in range(10)))

    everything = await dump(redis)
    assert sorted(everything["asynq:{q}:pending"]) == ids
    assert {everything[f"asynq:{{q}}:t:{i}"]["crashes"] for i in ids} == {1}
    assert recovered
