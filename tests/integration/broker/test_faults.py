"""What is lost on the way: every call of the broker says so, and repeating it does no harm."""

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned, Stored
from asynq_py.broker.lane import Lane
from asynq_py.errors import BrokerError, BrokerUnavailableError
from tests.clock import ManualClock
from tests.proxy import Cut, Lose, Proxy
from tests.state import NOW, NOW_NS, dump, kept, lease, message_of, new, seed, state

OURS = Owned("a", 7)
EXPIRY = int(NOW) + 30
SINCE = {"pending_since": NOW_NS}

CALLS: dict[str, Callable[[Broker], Awaitable[object]]] = {
    "enqueue": lambda broker: broker.enqueue("q", [new("n")]),
    "schedule": lambda broker: broker.schedule("q", [(new("n"), 5, "")]),
    "add_to_group": lambda broker: broker.add_to_group("q", [(new("n"), "g")]),
    "dequeue": lambda broker: broker.dequeue("q", 1, expires_at=EXPIRY, token=1),
    "done": lambda broker: broker.done("q", [(OURS, "")]),
    "complete": lambda broker: broker.complete("q", [(OURS, "", message_of("a"), 5)]),
    "retry": lambda broker: broker.retry("q", [(OURS, message_of("a"), 5, True)]),
    "archive": lambda broker: broker.archive("q", [(OURS, message_of("a"))]),
    "requeue": lambda broker: broker.requeue("q", [OURS]),
    "recover_owned": lambda broker: broker.recover_owned("q", [OURS]),
    "extend": lambda broker: broker.extend("q", [OURS], expires_at=EXPIRY + 9),
    "write_result": lambda broker: broker.write_result("q", "a", 7, b"r"),
    "forward": lambda broker: broker.forward("q"),
    "recover": lambda broker: broker.recover("q", ended_by=NOW + 60),
    "expire": lambda broker: broker.expire("q", 10),
}
BEFORE = state(
    active=[kept("a", lease(7))],
    pending=[kept("p")],
    scheduled=[kept("s", NOW)],
    completed=[kept("c", NOW - 1)],
    registered=True,
)


@pytest.fixture
def shaky(lane: Lane, clock: ManualClock) -> Broker:
    """A broker behind the proxy."""
    return Broker(lane, clock)


@pytest.fixture
async def known_scripts(broker: Broker, redis: Redis) -> None:
    """Lets Redis know every script, so that a fault strikes its call by hash."""
    for call in CALLS.values():
        await call(broker)
    await redis.flushall()
    await seed(redis, BEFORE)


@pytest.mark.usefixtures("known_scripts")
@pytest.mark.parametrize("name", CALLS)
async def test_a_lost_answer_is_reported_and_the_call_was_whole(
    shaky: Broker, proxy: Proxy, redis: Redis, name: str
) -> None:
    proxy.inject(Cut())

    with pytest.raises(BrokerUnavailableError) as caught:
        await CALLS[name](shaky)

    assert caught.value.maybe_done
    after = await dump(redis)
    assert after != BEFORE
    await redis.flushall()
    await seed(redis, BEFORE)
    await CALLS[name](shaky)
    assert await dump(redis) == after


@pytest.mark.usefixtures("known_scripts")
@pytest.mark.parametrize("name", CALLS)
async def test_a_lost_request_changes_nothing(shaky: Broker, proxy: Proxy, redis: Redis, name: str) -> None:
    proxy.inject(Lose())

    with pytest.raises(BrokerUnavailableError):
        await CALLS[name](shaky)

    assert await dump(redis) == BEFORE


@pytest.mark.usefixtures("known_scripts")
async def test_outcomes_whose_answer_was_lost_can_be_written_again_without_a_trace(
    shaky: Broker, proxy: Proxy, redis: Redis
) -> None:
    for name in ("done", "complete", "retry", "archive", "requeue"):
        await redis.flushall()
        await seed(redis, BEFORE)
        proxy.inject(Cut())
        with pytest.raises(BrokerUnavailableError):
            await CALLS[name](shaky)
        after = await dump(redis)

        assert await CALLS[name](shaky) == [False]
        assert await dump(redis) == after


@pytest.mark.usefixtures("known_scripts")
async def test_a_task_whose_answer_was_lost_is_stored_once(shaky: Broker, proxy: Proxy, redis: Redis) -> None:
    proxy.inject(Cut())
    tasks = [new("x", payload=b"1"), new("y", payload=b"2")]
    with pytest.raises(BrokerUnavailableError):
        await shaky.enqueue("q", tasks)

    assert await shaky.enqueue("q", tasks, repeated=True) == [Stored.YES, Stored.YES]

    pending = [kept("p"), kept("x", payload=b"1", fields=SINCE), kept("y", payload=b"2", fields=SINCE)]
    assert await dump(redis) == BEFORE | {
        key: value for key, value in state(pending=pending).items() if key != "asynq:{q}:t:p"
    }


@pytest.mark.usefixtures("known_scripts")
async def test_tasks_whose_fetch_had_no_answer_are_fetched_again(
    shaky: Broker, proxy: Proxy, redis: Redis
) -> None:
    proxy.inject(Cut())
    with pytest.raises(BrokerUnavailableError):
        await shaky.dequeue("q", 5, expires_at=EXPIRY, token=9)

    tasks = await shaky.dequeue("q", 5, expires_at=EXPIRY, token=9, repeated=True)

    assert [task.id for task in tasks or ()] == ["p"]
    assert await shaky.dequeue("q", 5, expires_at=EXPIRY, token=10) == []


async def test_a_queue_is_registered_again_when_its_answer_was_lost(
    shaky: Broker, proxy: Proxy, redis: Redis
) -> None:
    proxy.inject(Lose(), at=b"SADD")
    with pytest.raises(BrokerUnavailableError):
        await shaky.enqueue("q", [new("a")])

    await shaky.enqueue("q", [new("a")])

    assert await dump(redis) == state(pending=[kept("a", fields=SINCE)], registered=True)


async def test_a_queue_that_was_just_registered_is_not_registered_again(shaky: Broker, proxy: Proxy) -> None:
    for task_id in "abc":
        await shaky.enqueue("q", [new(task_id)])

    assert proxy.count(b"SADD") == 1


async def test_a_key_of_the_wrong_kind_is_refused_by_redis(broker: Broker, redis: Redis) -> None:
    await seed(redis, before := {"asynq:{q}:pending": "text"})

    with pytest.raises(BrokerError, match="WRONGTYPE"):
        await broker.dequeue("q", 1, expires_at=EXPIRY, token=1)

    assert await dump(redis) == before


async def test_leases_and_outcomes_are_written_even_when_redis_is_out_of_memory(
    broker: Broker, redis: Redis
) -> None:
    await seed(redis, state(active=[kept("a", lease(7)), kept("b", lease(7))]))
    await broker.extend("q", [], expires_at=EXPIRY)  # scripts are loaded while there is room
    await broker.done("q", [])
    await redis.config_set("maxmemory", "1")
    try:
        # in a Cluster another node refused to list the queue, and the task may be there
        with pytest.raises((BrokerError, BrokerUnavailableError), match="maxmemory"):
            await broker.enqueue("q", [new("n")])
        assert await broker.extend("q", [OURS], expires_at=EXPIRY + 9) == [True]
        assert await broker.done("q", [(OURS, "")]) == [True]
        assert await broker.retry("q", [(Owned("b", 7), message_of("b"), 5, True)]) == [True]
    finally:
        await redis.config_set("maxmemory", "0")

    expected = state(retry=[kept("b", 5)])
    after = await dump(redis)
    assert {key: after[key] for key in expected} == expected
