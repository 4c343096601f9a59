"""What a worker ran that is known to be dead, before its leases end. Reliability F31."""

from __future__ import annotations

from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW_NS, dump, kept, lease, seed, state

SINCE = {"pending_since": NOW_NS}


async def test_lost_tasks_run_next_in_the_order_given_and_their_loss_is_counted(
    broker: Broker, redis: Redis
) -> None:
    waiting = [kept("x"), kept("y")]
    fields = {"crashes": 1, "result": "half"}
    running = [kept("a", lease(7), retried=3, fields=fields), kept("b", lease(9)), kept("c", lease(7))]
    await seed(redis, state(active=running, pending=waiting))

    assert await broker.recover_owned("q", [Owned("b", 9), Owned("a", 7)]) == [True, True]

    first = kept("b", fields={"crashes": 1} | SINCE)
    second = kept("a", retried=3, fields=fields | {"crashes": 2} | SINCE)
    assert await dump(redis) == state(active=[kept("c", lease(7))], pending=[first, second, *waiting])


async def test_what_the_dead_has_ended_or_others_have_by_now_is_left_alone(
    broker: Broker, redis: Redis
) -> None:
    before = state(active=[kept("theirs", lease(8))], completed=[kept("ended", 4e9)])
    await seed(redis, before)

    tasks = [Owned("theirs", 7), Owned("ended", 7), Owned("gone", 7)]
    assert await broker.recover_owned("q", tasks) == [False, False, False]

    assert await dump(redis) == before


async def test_an_id_that_is_told_twice_is_handed_back_once(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]))

    assert sum(await broker.recover_owned("q", [Owned("a", 7), Owned("a", 7)])) == 1

    assert await dump(redis) == state(pending=[kept("a", fields={"crashes": 1} | SINCE)])
