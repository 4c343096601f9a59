from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Fetched
from tests.state import NOW, Hash, dump, kept, lease, message_of, seed, state

EXPIRY = int(NOW) + 30


def fetched(task_id: str, crashes: int = 0, since: bytes | None = None) -> Fetched:
    return Fetched(task_id, message_of(task_id), crashes, since)


async def dequeue(broker: Broker, count: int = 10, *, token: int = 7, repeated: bool = False) -> Any:
    return await broker.dequeue("q", count, expires_at=EXPIRY, token=token, repeated=repeated)


async def test_tasks_come_in_order_and_get_leases_that_carry_the_token(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(pending=[kept(i, fields={"pending_since": 1}) for i in "abc"]))

    assert await dequeue(broker, 2) == [fetched("a", since=b"1"), fetched("b", since=b"1")]

    assert await dump(redis) == state(
        active=[kept("a", lease(7)), kept("b", lease(7))], pending=[kept("c", fields={"pending_since": 1})]
    )


async def test_a_large_fetch_leaves_leases_and_nothing_else(broker: Broker, redis: Redis) -> None:
    ids = [f"{n:03}" for n in range(150)]
    await seed(redis, state(pending=[kept(i) for i in ids]))

    assert await dequeue(broker, 200) == [fetched(i) for i in ids]

    assert await dump(redis) == state(active=[kept(i, lease(7)) for i in ids])


async def test_a_score_is_the_whole_second_of_the_expiry_for_peers(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(pending=[kept("a")]))

    await dequeue(broker, token=999_999)

    assert await redis.zscore("asynq:{q}:lease", "a") == pytest.approx(EXPIRY + 0.999999, abs=1e-6)


async def test_an_empty_queue_gives_no_task_and_stays_empty(broker: Broker, redis: Redis) -> None:
    assert await dequeue(broker) == []
    assert await dump(redis) == {}


async def test_no_more_than_asked_for_is_taken(broker: Broker, redis: Redis) -> None:
    await seed(redis, before := state(pending=[kept("a")]))

    assert await dequeue(broker, 0) == []
    assert await dump(redis) == before


async def test_a_paused_queue_gives_nothing_and_says_so(broker: Broker, redis: Redis) -> None:
    before = state(pending=[kept("a")]) | {"asynq:{q}:paused": "1700000000"}
    await seed(redis, before)

    assert await dequeue(broker) is None
    assert await dump(redis) == before


async def test_lost_workers_are_told_and_other_fields_are_kept(broker: Broker, redis: Redis) -> None:
    fields = {"crashes": 2, "group": "g", "result": "half", "unique_key": "lock"}
    await seed(redis, state(pending=[kept("a", fields=fields)]))

    assert await dequeue(broker) == [fetched("a", crashes=2)]
    assert await dump(redis) == state(active=[kept("a", lease(7), fields=fields)])


async def test_ids_without_a_message_are_dropped_and_the_next_ones_taken(
    broker: Broker, redis: Redis
) -> None:
    before = state(pending=[kept(i) for i in ("gone", "a", "half", "b", "c")])
    del before["asynq:{q}:t:gone"]
    before["asynq:{q}:t:half"] = Hash(state="pending", pending_since=5)
    await seed(redis, before)

    assert await dequeue(broker, 2) == [fetched("a"), fetched("b")]

    assert await dump(redis) == state(active=[kept("a", lease(7)), kept("b", lease(7))], pending=[kept("c")])


async def test_a_run_of_ghosts_longer_than_the_request_does_not_hide_the_task_behind_it(
    broker: Broker, redis: Redis
) -> None:
    before = state(pending=[kept(f"ghost {i}") for i in range(10)] + [kept("a")])
    for i in range(10):
        del before[f"asynq:{{q}}:t:ghost {i}"]
    await seed(redis, before)

    assert await dequeue(broker, 1) == [fetched("a")]
    assert await dump(redis) == state(active=[kept("a", lease(7))])


async def test_an_id_that_is_pending_twice_runs_once(broker: Broker, redis: Redis) -> None:
    before = state(pending=[kept("a"), kept("b")])
    before["asynq:{q}:pending"] = ["a", "b", "a"]
    await seed(redis, before)

    assert await dequeue(broker) == [fetched("a"), fetched("b")]
    assert await dump(redis) == state(active=[kept("a", lease(7)), kept("b", lease(7))])


@pytest.mark.parametrize("elsewhere", ["scheduled", "retry", "archived", "completed"])
async def test_an_id_that_another_set_holds_as_well_is_left_there(
    broker: Broker, redis: Redis, elsewhere: str
) -> None:
    there = state(**{elsewhere: [kept("a", NOW)]})  # type: ignore[arg-type]
    await seed(redis, there | {"asynq:{q}:pending": ["a"]})

    assert await dequeue(broker) == []
    assert await dump(redis) == there


async def test_an_id_that_is_running_as_well_is_not_taken_twice(broker: Broker, redis: Redis) -> None:
    running = state(active=[kept("a", lease(3))])
    await seed(redis, running | {"asynq:{q}:pending": ["a"]})

    assert await dequeue(broker) == []
    assert await dump(redis) == running


@pytest.mark.parametrize("stale", ["active", "retry", "aggregating"])
async def test_a_pending_id_whose_state_field_is_stale_is_taken(
    broker: Broker, redis: Redis, stale: str
) -> None:
    before = state(pending=[kept("a")])
    before["asynq:{q}:t:a"]["state"] = stale
    await seed(redis, before)

    assert await dequeue(broker) == [fetched("a")]
    assert await dump(redis) == state(active=[kept("a", lease(7))])


async def test_a_repeated_request_returns_what_its_lost_answer_brought(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(pending=[kept(i) for i in "abc"]))
    first = await dequeue(broker, 2)
    before = await dump(redis)

    assert await dequeue(broker, 2, repeated=True) == first
    assert await dump(redis) == before


async def test_a_repeated_request_leaves_out_what_was_deleted_meanwhile(broker: Broker, redis: Redis) -> None:
    before = state(active=[kept("a", lease(7)), kept("b", lease(7))], pending=[kept("c")])
    del before["asynq:{q}:t:a"]
    await seed(redis, before)

    assert await dequeue(broker, repeated=True) == [fetched("b")]
    assert await dump(redis) == before


async def test_a_repeated_request_that_never_arrived_takes_tasks(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("z", lease(6))], pending=[kept("a")]))

    assert await dequeue(broker, repeated=True) == [fetched("a")]
    assert await dump(redis) == state(active=[kept("z", lease(6)), kept("a", lease(7))])


async def test_a_repeated_request_for_none_only_looks(broker: Broker, redis: Redis) -> None:
    await seed(redis, before := state(active=[kept("a", lease(7))], pending=[kept("b")]))

    assert await dequeue(broker, 0, repeated=True) == [fetched("a")]
    assert await dequeue(broker, 0, token=8, repeated=True) == []
    assert await dump(redis) == before


async def test_a_repeated_request_gets_its_tasks_even_if_the_queue_was_paused_since(
    broker: Broker, redis: Redis
) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]) | {"asynq:{q}:paused": "1700000000"})

    assert await dequeue(broker, repeated=True) == [fetched("a")]
    assert await dequeue(broker, token=8, repeated=True) is None


async def test_an_id_that_is_not_text_can_be_taken_and_given_back_its_bytes(
    broker: Broker, redis: Redis
) -> None:
    await redis.hset(b"asynq:{q}:t:\xff", mapping={"msg": b"?", "state": "pending"})
    await redis.lpush("asynq:{q}:pending", b"\xff")

    assert await dequeue(broker) == [Fetched("\udcff", b"?", 0)]
    assert await redis.lrange("asynq:{q}:active", 0, -1) == [b"\xff"]
