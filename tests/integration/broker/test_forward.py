import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from asynq_py.wire import limits
from tests.state import NOW, NOW_NS, dump, kept, seed, state

SINCE = {"pending_since": NOW_NS}


async def test_what_is_due_becomes_pending_the_earliest_first(broker: Broker, redis: Redis) -> None:
    await seed(
        redis,
        state(
            pending=[kept("waiting")],
            scheduled=[kept("b", NOW), kept("a", NOW - 5), kept("later", NOW + 1)],
            retry=[kept("c", NOW - 1), kept("much later", NOW + 100)],
        ),
    )

    assert await broker.forward("q") < 100

    due = [kept("a", fields=SINCE), kept("b", fields=SINCE), kept("c", fields=SINCE)]
    assert await dump(redis) == state(
        pending=[kept("waiting"), *due],
        scheduled=[kept("later", NOW + 1)],
        retry=[kept("much later", NOW + 100)],
    )


async def test_a_task_with_a_group_goes_into_it(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(scheduled=[kept("a", NOW, group_key="g", fields={"group": "g"})]))

    await broker.forward("q")

    assert await dump(redis) == state(groups={"g": [kept("a", NOW, group_key="g", fields={"group": "g"})]})


async def test_nothing_due_changes_nothing(broker: Broker, redis: Redis) -> None:
    await seed(redis, before := state(scheduled=[kept("a", NOW + 1)], retry=[kept("b", NOW + 1)]))

    assert await broker.forward("q") == 0
    assert await dump(redis) == before


async def test_a_step_is_bounded_and_says_that_more_is_due(
    broker: Broker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FORWARD_BATCH", 2)
    await seed(redis, state(retry=[kept(i, NOW - 10 + n) for n, i in enumerate("abc")]))

    assert await broker.forward("q") == 2
    pending = [kept(i, fields=SINCE) for i in "ab"]
    assert await dump(redis) == state(pending=pending, retry=[kept("c", NOW - 8)])

    assert await broker.forward("q") < 2
    assert await dump(redis) == state(pending=[*pending, kept("c", fields=SINCE)])


@pytest.mark.parametrize("waiting", ["scheduled", "retry"])
async def test_a_look_tells_whether_anything_is_due(broker: Broker, redis: Redis, waiting: str) -> None:
    assert not await broker.is_due("q")
    await redis.zadd(f"asynq:{{q}}:{waiting}", {"a": NOW + 1})
    assert not await broker.is_due("q")
    await redis.zadd(f"asynq:{{q}}:{waiting}", {"b": NOW})
    assert await broker.is_due("q")
