import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys
from tests.state import NOW, NOW_NS, Hash, dump, kept, lease, seed, state


async def test_tasks_of_lost_workers_run_next_and_no_retry_is_used_up(broker: Broker, redis: Redis) -> None:
    await seed(
        redis,
        state(
            active=[
                kept("a", lease(7, NOW - 2), retry=0),
                kept("b", lease(7, NOW + 2)),
                kept("c", NOW - 1, retried=1, fields={"crashes": 1}),
            ],
            pending=[kept("waiting")],
        ),
    )

    assert await broker.recover("q", ended_by=NOW) == ["c", "a"]

    back = [
        kept("a", fields={"crashes": 1, "pending_since": NOW_NS}),
        kept("c", retried=1, fields={"crashes": 2, "pending_since": NOW_NS}),
    ]
    expected = state(active=[kept("b", lease(7, NOW + 2))], pending=[*back, kept("waiting")])
    assert await dump(redis) == expected


async def test_a_lease_that_still_runs_is_left_alone(broker: Broker, redis: Redis) -> None:
    await seed(redis, before := state(active=[kept("a", lease(7, NOW))]))

    assert await broker.recover("q", ended_by=NOW) == []  # the token, a fraction, is on top
    assert await dump(redis) == before


async def test_a_step_is_bounded(broker: Broker, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECOVER_BATCH", 2)
    await seed(redis, state(active=[kept(i, lease(7, NOW - 10 + n)) for n, i in enumerate("abc")]))

    assert await broker.recover("q", ended_by=NOW) == ["c", "b"]
    assert await broker.recover("q", ended_by=NOW) == ["a"]
    assert await broker.recover("q", ended_by=NOW) == []


async def test_the_task_whose_lease_ended_first_runs_first_whatever_the_steps(
    broker: Broker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECOVER_BATCH", 2)
    await seed(redis, state(active=[kept(i, lease(7, NOW - 10 + n)) for n, i in enumerate("abcde")]))

    while await broker.recover("q", ended_by=NOW):
        pass

    waiting = await redis.lrange(QueueKeys("q").pending, 0, -1)  # the last one is taken next
    assert waiting == b"e d c b a".split()


async def test_what_a_task_is_left_with_after_a_lost_list_entry_is_recovered(
    broker: Broker, redis: Redis
) -> None:
    before = state(active=[kept("a", lease(7, NOW - 1))])
    del before["asynq:{q}:active"]
    await seed(redis, before)

    assert await broker.recover("q", ended_by=NOW) == ["a"]
    assert await dump(redis) == state(pending=[kept("a", fields={"crashes": 1, "pending_since": NOW_NS})])


async def test_a_left_over_lease_of_a_task_that_waits_elsewhere_is_only_dropped(
    broker: Broker, redis: Redis
) -> None:
    there = state(retry=[kept("a", NOW + 9)])
    await seed(redis, there | {"asynq:{q}:lease": {"a": lease(7, NOW - 1)}})

    assert await broker.recover("q", ended_by=NOW) == []
    assert await dump(redis) == there


async def test_expired_leases_without_a_message_are_cleaned_up(broker: Broker, redis: Redis) -> None:
    before = state(active=[kept("gone", lease(7, NOW - 1)), kept("half", lease(7, NOW - 1))])
    del before["asynq:{q}:t:gone"]
    before["asynq:{q}:t:half"] = Hash(state="active")
    await seed(redis, before)

    assert await broker.recover("q", ended_by=NOW) == []
    assert await dump(redis) == {}


async def test_a_task_key_of_the_wrong_kind_and_an_unreadable_message_keep_no_other_from_recovery(
    broker: Broker, redis: Redis
) -> None:
    """F61, F63: nothing is decoded here."""
    before = state(active=[kept(name, lease(7, NOW - 1)) for name in ("text", "garbled", "fine")])
    before["asynq:{q}:t:text"] = "text"
    before["asynq:{q}:t:garbled"]["msg"] = b"\xff\xff"
    await seed(redis, before)

    assert set(await broker.recover("q", ended_by=NOW)) == {"garbled", "fine"}

    after = await dump(redis)
    assert sorted(after.pop("asynq:{q}:pending")) == ["fine", "garbled"]
    assert set(after) == {"asynq:{q}:t:text", "asynq:{q}:t:garbled", "asynq:{q}:t:fine"}
