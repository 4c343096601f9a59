from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Stored
from tests.clock import ManualClock
from tests.state import NOW_NS, dump, kept, new, seed, state

SINCE = {"pending_since": NOW_NS}
LOCK = "asynq:{q}:unique:t:"
LOCKED = {"pending_since": NOW_NS, "unique_key": LOCK}


async def test_tasks_become_pending_and_the_first_one_is_next(broker: Broker, redis: Redis) -> None:
    answers = await broker.enqueue("q", [new("a", payload=b"\x00\xff"), new("b", retry=3)])

    assert answers == [Stored.YES, Stored.YES]
    assert await dump(redis) == state(
        pending=[kept("a", payload=b"\x00\xff", fields=SINCE), kept("b", retry=3, fields=SINCE)],
        registered=True,
    )


async def test_later_tasks_wait_behind_earlier_ones(broker: Broker, redis: Redis, clock: ManualClock) -> None:
    await broker.enqueue("q", [new("a")])
    clock.advance(1.5)
    await broker.enqueue("q", [new("b")])

    later = {"pending_since": NOW_NS + 1_500_000_000}
    expected = state(pending=[kept("a", fields=SINCE), kept("b", fields=later)], registered=True)
    assert await dump(redis) == expected


async def test_an_id_in_use_is_refused_alone_whatever_its_state(broker: Broker, redis: Redis) -> None:
    before = state(archived=[kept("a", 5.0)], registered=True)
    await seed(redis, before)

    answers = await broker.enqueue("q", [new("a"), new("b"), new("b")])

    assert answers == [Stored.ID_IN_USE, Stored.YES, Stored.ID_IN_USE]
    assert await dump(redis) == before | state(pending=[kept("b", fields=SINCE)], registered=True)


async def test_the_same_id_may_be_used_in_another_queue(broker: Broker, redis: Redis) -> None:
    assert await broker.enqueue("q", [new("a")]) == [Stored.YES]
    assert await broker.enqueue("r", [new("a", queue="r")]) == [Stored.YES]

    expected = state("q", pending=[kept("a", fields=SINCE)]) | state("r", pending=[kept("a", fields=SINCE)])
    assert await dump(redis) == expected | {"asynq:queues": {"q", "r"}}


async def test_a_unique_task_takes_the_lock_for_its_time(broker: Broker, redis: Redis) -> None:
    assert await broker.enqueue("q", [new("a", lock=LOCK, lock_ms=60_500)]) == [Stored.YES]

    assert await dump(redis) == state(
        pending=[kept("a", unique_key=LOCK, fields=LOCKED)], locks={LOCK: "a"}, registered=True
    )
    assert 60_000 < await redis.pttl(LOCK) <= 60_500


async def test_a_held_lock_refuses_the_task_and_changes_nothing(broker: Broker, redis: Redis) -> None:
    before = state(pending=[kept("a", unique_key=LOCK, fields=LOCKED)], locks={LOCK: "a"}, registered=True)
    await seed(redis, before)

    assert await broker.enqueue("q", [new("b", lock=LOCK, lock_ms=60_000)]) == [Stored.LOCKED]

    assert await dump(redis) == before
    assert await redis.pttl(LOCK) == -1  # nor was it renewed


async def test_a_repeated_request_finds_its_own_task_stored(broker: Broker, redis: Redis) -> None:
    tasks = [new("a"), new("b", lock=LOCK, lock_ms=60_000)]
    await broker.enqueue("q", tasks[:1])
    before = await dump(redis)

    assert await broker.enqueue("q", tasks[:1], repeated=True) == [Stored.YES]
    assert await dump(redis) == before

    assert await broker.enqueue("q", tasks, repeated=True) == [Stored.YES, Stored.YES]
    assert await broker.enqueue("q", tasks, repeated=True) == [Stored.YES, Stored.YES]
    expected = [kept("a", fields=SINCE), kept("b", unique_key=LOCK, fields=LOCKED)]
    assert await dump(redis) == state(pending=expected, locks={LOCK: "b"}, registered=True)


async def test_a_repeated_request_is_refused_where_another_message_holds_the_id(
    broker: Broker, redis: Redis
) -> None:
    await broker.enqueue("q", [new("a", payload=b"theirs")])
    before = await dump(redis)

    assert await broker.enqueue("q", [new("a", payload=b"ours")], repeated=True) == [Stored.ID_IN_USE]
    assert await dump(redis) == before


async def test_a_request_that_is_not_repeated_never_takes_an_equal_task_for_its_own(
    broker: Broker, redis: Redis
) -> None:
    await broker.enqueue("q", [new("a")])
    before = await dump(redis)

    assert await broker.enqueue("q", [new("a")]) == [Stored.ID_IN_USE]
    assert await dump(redis) == before
