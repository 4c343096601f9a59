from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import dump, kept, lease, seed, state

LOCK = "asynq:{q}:unique:t:key"
RULED = {"unique_key": LOCK, "unique_ms": 60_000}


async def renew(broker: Broker, token: int = 7) -> list[bool]:
    return await broker.renew_locks("q", [(Owned("a", token), LOCK)])


async def test_the_lock_of_a_running_task_lasts_as_long_again_as_at_first(
    broker: Broker, redis: Redis
) -> None:
    there = state(active=[kept("a", lease(7), fields=RULED)], locks={LOCK: "a"})
    await seed(redis, there)
    await redis.pexpire(LOCK, 1000)

    assert await renew(broker) == [True]

    assert await dump(redis) == there
    assert 59_000 < await redis.pttl(LOCK) <= 60_000


async def test_a_lock_that_ran_out_is_taken_again(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7), fields=RULED)]))

    assert await renew(broker) == [True]

    assert await redis.get(LOCK) == b"a"
    assert await redis.pttl(LOCK) > 59_000


async def test_that_of_another_task_is_left_alone(broker: Broker, redis: Redis) -> None:
    there = state(active=[kept("a", lease(7), fields=RULED)], locks={LOCK: "b"})
    await seed(redis, there)

    assert await renew(broker) == [False]

    assert await dump(redis) == there


async def test_a_lock_without_a_rule_ends_when_it_was_to_end(broker: Broker, redis: Redis) -> None:
    there = state(active=[kept("a", lease(7), fields={"unique_key": LOCK})], locks={LOCK: "a"})
    await seed(redis, there)
    await redis.pexpire(LOCK, 20_000)

    assert await renew(broker) == [False]

    assert await redis.pttl(LOCK) <= 20_000


async def test_who_does_not_own_the_task_any_more_makes_no_lock(broker: Broker, redis: Redis) -> None:
    there = state(active=[kept("a", lease(8), fields=RULED)])
    await seed(redis, there)

    assert await renew(broker) == [False]
    assert await dump(redis) == there


async def test_a_task_that_is_done_makes_no_lock(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7), fields=RULED)], locks={LOCK: "a"}))
    await broker.done("q", [(Owned("a", 7), LOCK)])

    assert await renew(broker) == [False]
    assert not await redis.exists(LOCK)
