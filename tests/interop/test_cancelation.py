"""Cancelation crosses the languages, both ways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task
from tests.books import Books, books, books_become, message
from tests.eventually import eventually
from tests.interop.peer import GoPeer
from tests.interop.script import does, in_process
from tests.interop.worker import Event, Worker

pytestmark = pytest.mark.timeout(60, func_only=True)

LATER = 3600.0


async def _cancel(cancel: Callable[[], Awaitable[object]], worker: Worker, task_id: str) -> Event:
    """Ask until the handler has ended: who does not listen yet misses the message."""
    await worker.events.wait("start", task_id)

    async def ask() -> bool:
        await cancel()
        return bool(worker.events.named("end", task_id))

    await eventually(ask)
    return await worker.events.wait("end", task_id)


async def test_go_cancels_a_task_that_python_runs(any_go: GoPeer, redis: Redis) -> None:
    await any_go.enqueue("t", does("wait"), task_id="a")

    async with in_process(any_go.url, retry_delay=LATER) as python:
        ended = await _cancel(lambda: any_go.inspect("CancelProcessing", "a"), python, "a")
        assert ended.cause == "cancelled"
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))

    assert (await message(redis, "a")).retried == 1


async def test_python_cancels_a_task_that_go_runs(any_go: GoPeer, client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t", does("wait")), task_id="a")

    async with any_go.serve(retry_delay=LATER) as worker, Inspector(any_go.url) as inspector:
        ended = await _cancel(lambda: inspector.cancel_processing("a"), worker, "a")
        assert ended.cause == "context canceled"
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
        await _cancel(lambda: inspector.cancel_processing("a"), fleet[runner], "a")
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
