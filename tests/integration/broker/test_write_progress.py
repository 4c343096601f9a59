from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from tests.state import dump, kept, lease, seed, state


async def test_a_running_task_keeps_the_last_progress_with_the_token_of_its_try(
    broker: Broker, redis: Redis
) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]))

    assert await broker.write_progress("q", "a", 7, b"half") is True
    assert await broker.write_progress("q", "a", 7, b"\xff:whole") is True

    assert await dump(redis) == state(active=[kept("a", lease(7), fields={"progress": b"7:\xff:whole"})])


async def test_who_does_not_own_the_task_any_more_changes_nothing(broker: Broker, redis: Redis) -> None:
    before = state(active=[kept("a", lease(8))], retry=[kept("b", 5)])
    await seed(redis, before)

    assert await broker.write_progress("q", "a", 7, b"late") is False
    assert await broker.write_progress("q", "b", 7, b"late") is False

    assert await dump(redis) == before


async def test_a_task_that_is_gone_is_not_made_anew(broker: Broker, redis: Redis) -> None:
    assert await broker.write_progress("q", "a", 7, b"late") is False
    assert await dump(redis) == {}


async def test_a_lease_without_a_message_makes_no_task(broker: Broker, redis: Redis) -> None:
    before = state(active=[kept("a", lease(7))])
    del before["asynq:{q}:t:a"]
    await seed(redis, before)

    assert await broker.write_progress("q", "a", 7, b"late") is False
    assert await dump(redis) == before


async def test_a_running_task_does_not_tell_the_progress_of_an_earlier_try(
    broker: Broker, redis: Redis
) -> None:
    await seed(
        redis,
        state(
            active=[kept("a", lease(7), fields={"progress": b"6:old"}), kept("b", lease(7))],
            retry=[kept("c", 5, fields={"progress": b"6:old"})],
        ),
    )
    await broker.write_progress("q", "b", 7, b"new")

    told = [await broker.task("q", task_id) for task_id in "abc"]
    assert [task and task.progress for task in told] == [None, b"new", b"old"]
