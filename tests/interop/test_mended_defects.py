"""Where we do better than Go on the same keys, neither harms the other. Wire format 13; docs/with-go.md."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from asynq_py import Client, DuplicateTaskError, Task, TaskIDConflictError
from asynq_py.broker.broker import Broker, Owned
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.interop.aging import age_lease
from tests.interop.peer import GoError, GoPeer
from tests.interop.raw import keys, lease, value_bytes
from tests.interop.script import does, in_process

pytestmark = pytest.mark.timeout(60, func_only=True)

LEASE = "asynq:{default}:lease"
TOKEN = 123456


async def _take(broker: Broker, clock: ManualClock) -> Owned:
    """Take a task as a Python worker does: its lease carries a token as the fraction of its score."""
    fetched = await broker.dequeue("default", 1, expires_at=int(clock.time()) + 30, token=TOKEN)
    assert fetched is not None
    return Owned(fetched[0].id, TOKEN)


# -- tokens in leases (reliability F23; Q-34) ---------------------------------------------------------------


async def test_go_recovers_a_lease_with_a_token_and_the_late_python_worker_changes_nothing(
    any_go: GoPeer, client: Client, redis: Redis, broker: Broker, clock: ManualClock
) -> None:
    await client.enqueue(Task("t", does("wait")), task_id="a")
    ours = await _take(broker, clock)
    assert await lease(redis, "a") == pytest.approx(int(clock.time()) + 30.123456)
    await age_lease(redis, "a")

    async with any_go.serve() as worker:
        await worker.events.wait("start", "a")
        score = await lease(redis, "a")
        assert await broker.extend("default", [ours], expires_at=int(clock.time()) + 60) == [False]
        assert await broker.done("default", [(ours, "")]) == [False]
        assert await broker.requeue("default", [ours]) == [False]
        assert await lease(redis, "a") == score == int(score)  # Go's lease is as Go wrote it
        assert (await books(redis)).active == ("a",)
        await worker.release()
        await books_become(redis, Books(processed=2, failed=1))


async def test_go_extends_its_own_lease_beside_one_with_a_token(
    go: GoPeer, client: Client, redis: Redis, broker: Broker, clock: ManualClock
) -> None:
    await client.enqueue(Task("t", does("wait")), task_id="ours")
    ours = await _take(broker, clock)
    await client.enqueue(Task("t", does("wait")), task_id="theirs")

    async with go.serve() as worker:
        await worker.events.wait("start", "theirs")
        # an old lease, as Go's next beat (5 s later at most) finds it; Go goes by its own memory of it
        before = int(time.time()) - 5
        await redis.zadd(LEASE, {"theirs": before})
        await eventually(lambda: lease(redis, "theirs"), lambda score: score > before)
        assert await lease(redis, "ours") == pytest.approx(int(clock.time()) + 30.123456)
        assert await broker.extend("default", [ours], expires_at=int(clock.time()) + 60) == [True]
        assert await broker.done("default", [(ours, "")]) == [True]
        await worker.release()
        await books_become(redis, Books(processed=2))


async def test_a_go_worker_that_wakes_late_can_only_end_its_task_and_the_books_still_balance(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    """Go does not know tokens: a worker that stood still finishes a task that is no longer its own (Q-34).
    That task ends once; the Python worker that has it by then learns so and writes nothing."""
    await client.enqueue(Task("t", does("wait")), task_id="a")
    async with any_go.serve() as worker:
        await worker.events.wait("start", "a")
        worker.freeze()
        await age_lease(redis, "a")
        async with in_process(any_go.url) as python:
            await python.events.wait("start", "a")
            worker.thaw()
            await worker.release()
            await books_become(redis, Books(processed=1))
            await python.release()
            await python.events.wait("end", "a")
    assert await books(redis) == Books(processed=1)


async def test_go_extending_a_lease_that_is_ours_costs_us_the_try_and_no_task(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    """The same, but the late Go worker beats before it ends: it writes its whole seconds over our token."""
    await client.enqueue(Task("t", does("wait")), task_id="a")
    async with go.serve() as worker:
        await worker.events.wait("start", "a")
        worker.freeze()
        await age_lease(redis, "a")
        async with in_process(go.url, lease=4.0) as python:
            await python.events.wait("start", "a")
            worker.thaw()
            assert (await python.events.wait("end", "a")).cause == "lease_lost"
            assert (await books(redis)).active == ("a",)
            await worker.release()
            await books_become(redis, Books(processed=1))


# -- what a lost worker leaves (Q-08, `crashes`) ------------------------------------------------------------


async def test_go_runs_and_shows_a_task_that_carries_our_count_of_lost_workers(
    any_go: GoPeer, client: Client, redis: Redis, broker: Broker, clock: ManualClock
) -> None:
    await client.enqueue(Task("t", does("result", text="42")), task_id="a", retention=600)
    await _take(broker, clock)
    await age_lease(redis, "a")
    assert await broker.recover("default", ended_by=clock.time()) == ["a"]
    assert await redis.hget("asynq:{default}:t:a", "crashes") == b"1"

    info = await any_go.inspect("GetTaskInfo", "default", "a")
    assert info["Retried"] == 0
    async with any_go.serve():
        await books_become(redis, Books(completed={"a"}, processed=1))
    (task,) = await any_go.inspect("ListCompletedTasks", "default")
    assert task["Result"] == "NDI="


async def test_a_task_that_we_recovered_from_go_is_finished_by_go(
    any_go: GoPeer, client: Client, redis: Redis, broker: Broker, clock: ManualClock
) -> None:
    await client.enqueue(Task("t", does("wait")), task_id="a")
    async with any_go.serve() as worker:
        await worker.events.wait("start", "a")
        await worker.kill()
    await age_lease(redis, "a")
    assert await broker.recover("default", ended_by=clock.time()) == ["a"]

    async with any_go.serve() as worker:
        assert (await worker.events.wait("start", "a")).retried == 0
        await worker.release()
        await books_become(redis, Books(processed=1))


async def test_a_ghost_that_go_leaves_in_active_is_cleaned_up_by_us(
    any_go: GoPeer, client: Client, redis: Redis, broker: Broker, clock: ManualClock
) -> None:
    await client.enqueue(Task("t"), task_id="real")
    await redis.rpush("asynq:{default}:pending", "ghost")  # its hash is gone
    async with any_go.serve():
        await eventually(lambda: lease(redis, "ghost"))
        await books_become(redis, Books(active=("ghost",), processed=1))
    await age_lease(redis, "ghost")

    assert await broker.recover("default", ended_by=clock.time()) == []
    assert await books(redis) == Books(processed=1)
    await any_go.inspect("DeleteQueue", "default", False)


# -- groups with a time (Q-01, Q-05) ------------------------------------------------------------------------


async def test_a_scheduled_group_task_of_python_is_aggregated_when_go_forwards_it(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    async with go.serve(group_max_size=2) as worker:
        await worker.stop()  # it runs no tasks any more; it still forwards and aggregates
        await client.enqueue(Task("t", b"late"), task_id="a", group="g", process_in=600)
        await redis.zadd("asynq:{default}:scheduled", {"a": 0})
        await eventually(lambda: redis.zscore("asynq:{default}:g:g", "a"), lambda score: score is not None)
        # Go forwards it into its group but does not list the group: the next task of the group does
        await client.enqueue(Task("t", b"now"), task_id="b", group="g")
        async with in_process(go.url) as python:
            started = await python.events.wait("start")
            await books_become(redis, Books(processed=1))
    assert sorted(json.loads(started.payload)) == ["late", "now"]


async def test_a_scheduled_group_task_of_go_runs_alone_wherever_it_is_forwarded(
    any_go: GoPeer, redis: Redis
) -> None:
    """Q-01 as Go's client writes it: the hash names no group, and no forwarder can know better."""
    await any_go.enqueue("t", does("succeed"), task_id="a", group="g", process_in=600)
    await redis.zadd("asynq:{default}:scheduled", {"a": 0})

    async with in_process(any_go.url) as python:
        await python.events.wait("start", "a")
        await books_become(redis, Books(processed=1))


# -- locks (Q-02, Q-03) -------------------------------------------------------------------------------------


async def test_a_lock_in_milliseconds_binds_go_and_is_freed_by_go(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    payload = does("succeed")
    await client.enqueue(Task("t", payload), task_id="a", unique=timedelta(seconds=59.5))
    (lock,) = await keys(redis, "asynq:{default}:unique:*")
    assert 58_000 < await redis.pttl(lock) <= 59_500

    with pytest.raises(GoError) as refused:
        await any_go.enqueue("t", payload, unique=1)
    assert refused.value.kind == "duplicate"
    async with any_go.serve():
        await books_become(redis, Books(processed=1))
    await any_go.enqueue("t", payload, unique=60)


async def test_a_lock_that_ran_out_and_that_go_took_next_is_not_freed_by_our_task(
    any_go: GoPeer, client: Client, redis: Redis, broker: Broker, clock: ManualClock
) -> None:
    await client.enqueue(Task("t", b"p"), task_id="a", unique=1.0)
    (lock,) = await keys(redis, "asynq:{default}:unique:*")
    ours = await _take(broker, clock)
    await redis.pexpire(lock, 1)
    await eventually(lambda: redis.exists(lock), lambda left: left == 0)
    await any_go.enqueue("t", b"p", task_id="b", unique=60)

    assert await broker.done("default", [(ours, lock)]) == [True]

    assert await value_bytes(redis, lock) == b"b"


async def test_an_id_conflict_of_python_leaves_no_lock_for_go_to_stumble_on(
    any_go: GoPeer, client: Client
) -> None:
    await any_go.enqueue("other", None, task_id="a")
    with pytest.raises(TaskIDConflictError):
        await client.enqueue(Task("t", b"p"), task_id="a", unique=60)

    await any_go.enqueue("t", b"p", task_id="b", unique=60)
    with pytest.raises(DuplicateTaskError):
        await client.enqueue(Task("t", b"p"), unique=60)


# -- latency (Q-06) -----------------------------------------------------------------------------------------


async def test_go_sees_how_long_a_task_waits_that_python_handed_back(
    any_go: GoPeer, client: Client, redis: Redis, broker: Broker, clock: ManualClock
) -> None:
    await client.enqueue(Task("t", does("succeed")), task_id="a")
    ours = await _take(broker, clock)
    clock.advance(-60)  # it was handed back a minute ago
    assert await broker.requeue("default", [ours]) == [True]

    latency = (await any_go.inspect("GetQueueInfo", "default"))["Latency"]
    assert 60 <= latency / 1_000_000_000 < 120

    async with any_go.serve():
        await books_become(redis, Books(processed=1))
