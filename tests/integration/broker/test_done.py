import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, dump, kept, lease, seed, state

LOCK = "asynq:{q}:unique:t:"
DAY = "asynq:{q}:processed:2100-01-02"


async def test_finished_tasks_are_forgotten_and_counted(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7)), kept("b", lease(8)), kept("c", lease(7))]))

    answers = await broker.done("q", [(Owned("a", 7), ""), (Owned("b", 8), "")])

    assert answers == [True, True]
    assert await dump(redis) == state(active=[kept("c", lease(7))], processed=2)
    assert await redis.expiretime(DAY) == NOW + 90 * 24 * 3600


@pytest.mark.parametrize("ending", ["abcdef", "fedcba", "af", "cd", "ace", "bf", "e"])
async def test_tasks_end_in_any_order(broker: Broker, redis: Redis, ending: str) -> None:
    await seed(redis, state(active=[kept(i, lease(7)) for i in "abcdef"]))

    assert await broker.done("q", [(Owned(i, 7), "") for i in ending]) == [True] * len(ending)

    left = [kept(i, lease(7)) for i in "abcdef" if i not in ending]
    assert await dump(redis) == state(active=left, processed=len(ending))


async def test_a_task_that_is_named_twice_ends_once(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7)), kept("b", lease(7))]))

    assert sorted(await broker.done("q", [(Owned("a", 7), ""), (Owned("a", 7), "")])) == [False, True]

    assert await dump(redis) == state(active=[kept("b", lease(7))], processed=1)


async def test_the_day_counter_keeps_its_end_when_it_grows(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7))], processed=1))
    await redis.expireat(DAY, int(NOW) + 50)

    await broker.done("q", [(Owned("a", 7), "")])

    assert await dump(redis) == state(processed=2)
    assert await redis.expiretime(DAY) == NOW + 50


async def test_the_lock_is_given_back(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7), unique_key=LOCK)], locks={LOCK: "a"}))

    await broker.done("q", [(Owned("a", 7), LOCK)])

    assert await dump(redis) == state(processed=1)


async def test_a_lock_that_another_task_holds_by_now_stays(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7), unique_key=LOCK)], locks={LOCK: "b"}))

    await broker.done("q", [(Owned("a", 7), LOCK)])

    assert await dump(redis) == state(locks={LOCK: "b"}, processed=1)


async def test_a_task_that_is_lost_does_not_hinder_the_others(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(9)), kept("b", lease(7))]))

    answers = await broker.done("q", [(Owned("a", 7), ""), (Owned("b", 7), ""), (Owned("c", 7), "")])

    assert answers == [False, True, False]
    assert await dump(redis) == state(active=[kept("a", lease(9))], processed=1)


async def test_a_lease_by_a_go_worker_is_ours_only_without_a_token(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", NOW + 30)]))

    assert await broker.done("q", [(Owned("a", 7), "")]) == [False]
    assert await broker.done("q", [(Owned("a", 0), "")]) == [True]
    assert await dump(redis) == state(processed=1)


async def test_the_total_rolls_over_to_what_was_added(broker: Broker, redis: Redis) -> None:
    full = {"asynq:{q}:processed": str(2**63 - 1)}
    await seed(redis, state(active=[kept("a", lease(7)), kept("b", lease(7))]) | full)

    await broker.done("q", [(Owned("a", 7), ""), (Owned("b", 7), "")])

    assert await dump(redis) == {"asynq:{q}:processed": "2", DAY: "2"}
