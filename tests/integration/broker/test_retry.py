from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, dump, kept, lease, message_of, seed, state

LOCK = "asynq:{q}:unique:t:"
AT = int(NOW) + 15


async def test_a_failed_task_waits_for_its_next_try_and_both_counters_grow(
    broker: Broker, redis: Redis
) -> None:
    fields = {"unique_key": LOCK, "group": "g", "result": "half", "crashes": 2}
    await seed(
        redis, state(active=[kept("a", lease(7), fields=fields), kept("b", lease(7))], locks={LOCK: "a"})
    )

    message = message_of("a", retried=1, error_msg="boom", last_failed_at=int(NOW))
    assert await broker.retry("q", [(Owned("a", 7), message, AT, True)]) == [True]

    # the lock stays: the task still is in the queue
    del fields["crashes"]
    failed = kept("a", AT, retried=1, error_msg="boom", last_failed_at=int(NOW), fields=fields)
    expected = state(active=[kept("b", lease(7))], retry=[failed], locks={LOCK: "a"}, processed=1, failed=1)
    assert await dump(redis) == expected
    for name in ("processed", "failed"):
        assert await redis.expiretime(f"asynq:{{q}}:{name}:2100-01-02") == NOW + 90 * 24 * 3600


async def test_a_try_that_is_no_failure_changes_no_counter(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7))], processed=4, failed=3))

    await broker.retry("q", [(Owned("a", 7), message_of("a"), AT, False)])

    assert await dump(redis) == state(retry=[kept("a", AT)], processed=4, failed=3)


async def test_several_tasks_are_answered_and_counted_one_by_one(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept(i, lease(9 if i == "b" else 7)) for i in "abcd"]))

    items = [(Owned(i, 7), message_of(i), AT, i != "d") for i in "abcd"]
    assert await broker.retry("q", items) == [True, False, True, True]

    waiting = [kept(i, AT) for i in "acd"]
    assert await dump(redis) == state(active=[kept("b", lease(9))], retry=waiting, processed=2, failed=2)


async def test_both_totals_roll_over_together_when_processed_is_full(broker: Broker, redis: Redis) -> None:
    totals = {"asynq:{q}:processed": str(2**63 - 1), "asynq:{q}:failed": "100"}
    await seed(redis, state(active=[kept("a", lease(7))]) | totals)

    await broker.retry("q", [(Owned("a", 7), message_of("a"), AT, True)])

    assert await dump(redis) == state(retry=[kept("a", AT)], processed=1, failed=1)
