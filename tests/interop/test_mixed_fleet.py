"""Python and Go on the same queues at the same time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task
from tests.books import Books, books, books_become
from tests.interop.peer import GoOptions, GoPeer
from tests.interop.script import does, in_process
from tests.interop.worker import Worker

pytestmark = pytest.mark.timeout(60, func_only=True)


def runs(*workers: Worker) -> Counter[str]:
    """How often each task was run, by ID."""
    return Counter(event.id for worker in workers for event in worker.events.named("end"))


async def _enqueue_from_both(go: GoPeer, client: Client, count: int, payload: bytes, name: str) -> set[str]:
    ids = [f"{name}{number}" for number in range(count)]
    half = count // 2
    options: Sequence[GoOptions] = [{"task_id": task_id} for task_id in ids[:half]]
    await asyncio.gather(
        go.enqueue_many([("t", payload, option) for option in options]),
        client.enqueue_many([Task("t", payload, task_id=task_id) for task_id in ids[half:]]),
    )
    return set(ids)


async def test_a_fleet_of_python_and_both_versions_of_go_runs_each_task_once(
    go: GoPeer, old_go: GoPeer, client: Client, redis: Redis
) -> None:
    async with (
        in_process(go.url, concurrency=4) as python,
        go.serve(concurrency=4) as newest,
        old_go.serve(concurrency=4) as oldest,
    ):
        fleet: tuple[Worker, ...] = (python, newest, oldest)
        waiting = await _enqueue_from_both(go, client, 12, does("wait"), "waiting-")
        for worker in fleet:  # 12 tasks that wait fill the 12 slots of the fleet
            await worker.events.wait("start", times=4)
        more = await _enqueue_from_both(go, client, 300, does("succeed"), "quick-")
        for worker in fleet:
            await worker.release()
        await books_become(redis, Books(processed=312))

    assert runs(*fleet) == dict.fromkeys(waiting | more, 1)
    assert all(len(worker.events.named("end")) >= 4 for worker in fleet)


async def test_a_try_that_fails_in_one_language_is_repeated_in_the_other(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t", does("succeed", fail=2, text="x")), task_id="a", max_retry=5)

    # an hour until the next try, so that the worker that failed does not repeat it itself
    async with in_process(any_go.url, retry_delay=3600) as python:
        assert (await python.events.wait("end", "a")).error == "try 1: x"
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))
    await redis.zadd("asynq:{default}:retry", {"a": 0})
    async with any_go.serve(retry_delay=3600) as worker:
        assert (await worker.events.wait("end", "a")).error == "try 2: x"
        await books_become(redis, Books(retry={"a"}, processed=2, failed=2))
    await redis.zadd("asynq:{default}:retry", {"a": 0})
    async with in_process(any_go.url) as python:
        assert (await python.events.wait("start", "a")).retried == 2
        await books_become(redis, Books(processed=3, failed=2))


@pytest.mark.parametrize("paused_by", ["Go", "Python"])
async def test_a_queue_that_one_language_pauses_is_left_alone_by_both(
    any_go: GoPeer, client: Client, redis: Redis, paused_by: str
) -> None:
    await client.enqueue(Task("t", does("succeed")), task_id="a", queue="paused")
    async with Inspector(any_go.url) as inspector:
        if paused_by == "Go":
            await any_go.inspect("PauseQueue", "paused")
        else:
            await inspector.pause_queue("paused")
        async with (
            in_process(any_go.url, queues={"paused": 2, "open": 1}, strict_priority=True) as python,
            any_go.serve(queues={"paused": 2, "open": 1}, strict_priority=True) as worker,
        ):
            # whoever takes these has looked at the queue of higher priority first
            await _fill_both(client, python, worker)
            assert (await books(redis, "paused")).pending == ("a",)

            if paused_by == "Go":
                await inspector.unpause_queue("paused")
            else:
                await any_go.inspect("UnpauseQueue", "paused")
            await books_become(redis, Books(processed=1), "paused")


async def _fill_both(client: Client, *workers: Worker) -> None:
    await client.enqueue_many([Task("t", does("wait"), queue="open") for _ in range(20)])
    for worker in workers:  # tasks that wait fill the slots of both
        await worker.events.wait("start", times=10)
    for worker in workers:
        await worker.release()
        await worker.events.wait("end", times=10)


async def test_strict_priorities_hold_in_both_languages_for_tasks_of_both(
    any_go: GoPeer, client: Client
) -> None:
    queues = {"high": 2, "low": 1}

    async def fill(name: str) -> None:
        for queue in ("low", "high"):
            await any_go.enqueue("t", does("succeed"), task_id=f"{name}-go", queue=queue)
            await client.enqueue(Task("t", does("succeed")), task_id=f"{name}-python", queue=queue)

    await fill("a")
    async with in_process(any_go.url, queues=queues, strict_priority=True, concurrency=1) as python:
        await python.events.wait("end", times=4)
    await fill("b")
    async with any_go.serve(queues=queues, strict_priority=True, concurrency=1) as worker:
        await worker.events.wait("end", times=4)

    for events in (python.events, worker.events):
        assert [event.queue for event in events.named("start")] == ["high", "high", "low", "low"]


async def test_weights_let_every_queue_through_in_a_mixed_fleet(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    queues = {"critical": 6, "default": 3, "low": 1}
    for queue in queues:
        await client.enqueue_many([Task("t", does("succeed"), queue=queue) for _ in range(40)])

    async with in_process(go.url, queues=queues), go.serve(queues=queues):
        for queue in queues:
            await books_become(redis, Books(processed=40), queue)


async def test_tasks_of_both_languages_are_aggregated_by_go_and_the_result_runs_in_python(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    async with any_go.serve(group_max_size=4) as worker:
        await worker.stop()  # it runs no tasks any more; it still aggregates
        for number in range(2):
            await any_go.enqueue("t", f"go {number}".encode(), group="g")
            await client.enqueue(Task("t", f"python {number}"), group="g")
        async with in_process(any_go.url) as python:
            started = await python.events.wait("start")
            await books_become(redis, Books(processed=1))

    assert started.type == "aggregated:g"
    assert sorted(json.loads(started.payload)) == ["go 0", "go 1", "python 0", "python 1"]
    assert await redis.smembers("asynq:{default}:groups") == set()


async def test_tasks_of_both_languages_are_aggregated_by_python_and_the_result_runs_in_go(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    async with in_process(any_go.url, group_max_size=4) as python:
        await python.stop()  # it runs no tasks any more; it still aggregates
        for number in range(2):
            await any_go.enqueue("t", f"go {number}".encode(), group="g", unique=600)
            await client.enqueue(Task("t", f"python {number}"), group="g", unique=600)
        async with any_go.serve() as worker:
            started = await worker.events.wait("start")
            await books_become(redis, Books(processed=1))  # and no lock is left

    assert started.type == "aggregated:g"
    assert sorted(json.loads(started.payload)) == ["go 0", "go 1", "python 0", "python 1"]
    assert await redis.smembers("asynq:{default}:groups") == set()


async def test_both_languages_aggregate_the_same_groups_and_each_task_once(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    payloads = {str(number) for number in range(40)}
    async with go.serve(group_max_size=4) as worker, in_process(go.url, group_max_size=4) as python:
        for payload in sorted(payloads):
            await client.enqueue(Task("t", payload), group=f"g{int(payload) % 2}")
        await books_become(redis, Books(processed=10))

    seen = [event.payload for some in (worker, python) for event in some.events.named("start")]
    assert sorted(payload for aggregate in seen for payload in json.loads(aggregate)) == sorted(payloads)


async def test_queues_are_seen_by_the_tools_of_both_languages(any_go: GoPeer, client: Client) -> None:
    await client.enqueue(Task("t"), queue="from-python")
    await any_go.enqueue("t", None, queue="from-go")

    async with Inspector(any_go.url) as inspector:
        assert await inspector.queues() == ["from-go", "from-python"]
    assert sorted(await any_go.inspect("Queues")) == ["from-go", "from-python"]


async def test_tasks_run_in_the_order_in_which_both_languages_enqueued_them(
    any_go: GoPeer, client: Client
) -> None:
    order = []
    for number in range(3):
        order += [f"go-{number}", f"python-{number}"]
        await any_go.enqueue("t", None, task_id=f"go-{number}")
        await client.enqueue(Task("t"), task_id=f"python-{number}")
    assert [info["ID"] for info in await any_go.inspect("ListPendingTasks", "default")] == order

    async with in_process(any_go.url, concurrency=1) as python:
        await python.events.wait("end", times=6)
    assert [event.id for event in python.events.named("start")] == order
