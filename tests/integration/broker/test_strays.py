import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from asynq_py.wire import limits
from tests.state import NOW, dump, kept, lease, seed, state


async def test_tasks_without_a_lease_are_found_oldest_first_and_nothing_changes(
    broker: Broker, redis: Redis
) -> None:
    """F62."""
    before = state(active=[kept(name, lease(7, NOW + 9)) for name in ("a", "b", "c", "d")])
    del before["asynq:{q}:lease"]["c"], before["asynq:{q}:lease"]["b"]
    await seed(redis, before)

    assert await broker.strays("q") == [b"b", b"c"]
    assert await dump(redis) == before


async def test_a_lease_that_is_over_is_a_lease_all_the_same(broker: Broker, redis: Redis) -> None:
    """Such a task is recovered, which counts the loss of its worker."""
    await seed(redis, state(active=[kept("a", lease(7, NOW - 60)), kept("of Go", NOW - 60)]))

    assert await broker.strays("q") == []


async def test_a_long_list_is_looked_at_in_steps_and_only_so_far(
    broker: Broker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REPAIR_BATCH", 2)
    monkeypatch.setattr(limits, "REPAIR_DEPTH", 6)
    await redis.lpush("asynq:{q}:active", *[str(n) for n in range(9)])

    assert await broker.strays("q") == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_an_id_that_is_no_text_is_found_as_it_is(broker: Broker, redis: Redis) -> None:
    await redis.lpush("asynq:{q}:active", b"\xff")

    assert await broker.strays("q") == [b"\xff"]


async def test_an_empty_queue_has_none(broker: Broker) -> None:
    assert await broker.strays("q") == []
