"""Tasks on which two workers were lost run one at a time. F30."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become

KEYS = QueueKeys("default")


async def enqueue_suspects(client: Client, redis: Redis, *ids: str, crashes: int = 2) -> None:
    await client.enqueue_many([Task("t", task_id=task_id) for task_id in ids])
    for task_id in ids:
        await redis.hset(KEYS.task(task_id), "crashes", str(crashes))


async def test_a_suspect_begins_when_the_others_are_back_in_redis_and_all_have_their_turn(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await enqueue_suspects(client, redis, "a", "b", "c")
    active: list[tuple[str, ...]] = []
    crashes: list[int] = []

    async def handler(task: ActiveTask) -> None:
        active.append((await books(redis)).active)
        crashes.append(task.crashes)

    async with Server(redis_url, handler):
        await books_become(redis, Books(processed=3))
    assert sorted(active) == [("a",), ("b",), ("c",)]
    assert crashes == [2, 2, 2]


async def test_tasks_above_suspicion_run_beside_a_suspect(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await enqueue_suspects(client, redis, "suspect")
    await enqueue_suspects(client, redis, "once", crashes=1)
    await client.enqueue(Task("t", task_id="never"))
    together = asyncio.Barrier(3)

    async def handler(task: ActiveTask) -> None:
        await together.wait()

    async with Server(redis_url, handler):
        await books_become(redis, Books(processed=3))


async def test_while_a_suspect_runs_others_wait_as_scheduled_and_keep_their_count(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await enqueue_suspects(client, redis, "a", "b")
    may_end = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        await may_end.wait()

    async with Server(redis_url, handler):
        await books_become(redis, Books(active=("a",), scheduled={"b"}))
        assert await redis.hget(KEYS.task("b"), "crashes") == b"2"
        may_end.set()
        await books_become(redis, Books(processed=2))


async def test_a_suspect_that_waits_when_the_server_is_cancelled_is_handed_back_and_does_not_begin(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await enqueue_suspects(client, redis, "a", "b")
    await client.enqueue(Task("t", task_id="beside"))
    ran: list[str] = []

    async def handler(task: ActiveTask) -> None:
        ran.append(task.id)
        serving.cancel()
        await asyncio.Event().wait()

    server = Server(redis_url, handler, handle_signals=False)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await serving
    left = await books(redis)
    assert ran == ["beside"]
    assert (sorted(left.pending), left.active, left.scheduled) == (["a", "beside"], (), {"b"})
