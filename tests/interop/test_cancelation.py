"""Cancelation crosses the languages, both ways."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task
from tests.books import Books, books, books_become, message
from tests.eventually import eventually
from tests.interop.peer import GoPeer
from tests.interop.script import does, in_process
from tests.interop.worker import Worker

pytestmark = pytest.mark.timeout(60, func_only=True)

LATER = 3600.0


async def _ready_to_cancel(redis: Redis, worker: Worker, task_id: str, *, listeners: int = 1) -> None:
    """The task runs, and every server hears cancelations: those who do not listen yet miss the message."""
    await worker.events.wait("start", task_id)

    async def count() -> int:
        ((_, heard_by),) = await redis.pubsub_numsub("asynq:cancel")
        return int(heard_by)

    await eventually(count, lambda found: found == listeners)


async def test_go_cancels_a_task_that_python_runs(any_go: GoPeer, redis: Redis) -> None:
    await any_go.enqueue("t", does("wait"), task_id="a")

    async with in_process(any_go.url, retry_delay=LATER) as python:
        await _ready_to_cancel(redis, python, "a")
        await any_go.inspect("CancelProcessing", "a")
        assert (await python.events.wait("end", "a")).cause == "cancelled"
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))

    assert (await message(redis, "a")).retried == 1


async def test_python_cancels_a_task_that_go_runs(any_go: GoPeer, client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t", does("wait")), task_id="a")

    async with any_go.serve(retry_delay=LATER) as worker, Inspector(any_go.url) as inspector:
        await _ready_to_cancel(redis, worker, "a")
        await inspector.cancel_processing("a")
        assert (await worker.events.wait("end", "a")).cause == "context canceled"
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))

    stored = await message(redis, "a")
    assert (stored.error_msg, stored.retried) == ("context canceled", 1)


@pytest.mark.parametrize("runner", ["Python", "Go"])
async def test_a_cancelation_reaches_the_one_server_of_a_mixed_fleet_that_runs_the_task(
    go: GoPeer, client: Client, redis: Redis, runner: str
) -> None:
    queues = {"Python": {"for-python": 1}, "Go": {"for-go": 1}}
    queue = next(iter(queues[runner]))
    await client.enqueue_many([Task("t", does("wait"), queue=name) for name in ("for-python", "for-go")])
    await client.enqueue(Task("t", does("wait")), task_id="a", queue=queue)

    async with (
        in_process(go.url, queues=queues["Python"], retry_delay=LATER) as python,
        go.serve(queues=queues["Go"], retry_delay=LATER) as worker,
        Inspector(go.url) as inspector,
    ):
        fleet: dict[str, Worker] = {"Python": python, "Go": worker}
        await _ready_to_cancel(redis, fleet[runner], "a", listeners=2)
        await inspector.cancel_processing("a")
        await fleet[runner].events.wait("end", "a")
        await books_become(
            redis,
            Books(active=await _others(redis, queue), retry={"a"}, processed=1, failed=1),
            queue,
        )
        for one in fleet.values():
            await one.release()
            await one.events.wait("end", times=2 if one is fleet[runner] else 1)

    for one in fleet.values():
        assert [event.id for event in one.events.named("end") if event.error] == (
            ["a"] if one is fleet[runner] else []
        )


async def _others(redis: Redis, queue: str) -> tuple[str, ...]:
    return tuple(task_id for task_id in (await books(redis, queue)).active if task_id != "a")
