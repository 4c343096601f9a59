"""Q-06: a task handed back had no pending_since, so the latency of its queue read 0."""

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector
from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, NOW_NS, dump, kept, lease, seed, state


@pytest.mark.parametrize("how", ["requeue", "recover"])
async def test_q06_a_task_handed_back_tells_since_when_it_waits(
    broker: Broker, redis: Redis, how: str
) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]))

    if how == "requeue":
        await broker.requeue("q", [Owned("a", 7)])
    else:
        await broker.recover("q", ended_by=NOW + 60)

    assert (await dump(redis))["asynq:{q}:t:a"]["pending_since"] == NOW_NS


async def test_q06_a_task_that_is_taken_waits_no_more(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(pending=[kept("a", fields={"pending_since": 1})]))

    await broker.dequeue("q", 1, expires_at=int(NOW) + 30, token=7)

    assert await dump(redis) == state(active=[kept("a", lease(7))])


@pytest.mark.parametrize("how", ["one", "all"])
async def test_q06_a_task_run_by_hand_tells_since_when_it_waits(
    inspector: Inspector, redis: Redis, how: str
) -> None:
    await seed(redis, state(retry=[kept("a", NOW + 60)]))

    if how == "one":
        await inspector.run_task("q", "a")
    else:
        await inspector.run_all_retry("q")

    assert await dump(redis) == state(pending=[kept("a", fields={"pending_since": NOW_NS})])


@pytest.mark.parametrize("how", ["one", "all"])
async def test_q06_a_task_archived_by_hand_waits_no_more(
    inspector: Inspector, redis: Redis, how: str
) -> None:
    await seed(redis, state(pending=[kept("a", fields={"pending_since": 1})]))

    if how == "one":
        await inspector.archive_task("q", "a")
    else:
        await inspector.archive_all_pending("q")

    assert await dump(redis) == state(archived=[kept("a", NOW)])
