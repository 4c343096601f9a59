"""An idle server is woken by whoever pushes a task; where Redis cannot wake it, it looks by itself."""

from __future__ import annotations

import logging

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books_become
from tests.eventually import eventually
from tests.integration.server.conftest import LoginWith
from tests.proxy import Proxy
from tests.servers import each_server
from tests.state import message_of

NEVER = 100_000.0  # seconds between looks


async def nothing(task: ActiveTask) -> None:
    pass


async def idle(redis: Redis, queues: int = 1) -> None:
    """Wait until a server waits at so many queues."""

    async def waiting() -> int:
        async with each_server(redis) as servers:
            entries = [entry for server in servers for entry in await server.client_list()]
        return sum("b" in entry["flags"] and entry["cmd"] == "blmove" for entry in entries)

    await eventually(waiting, lambda count: count == queues)


async def store(redis: Redis, task_id: str, queue: str = "default") -> None:
    """Write the hash that every client writes before it pushes the ID."""
    k = QueueKeys(queue)
    await redis.hset(k.task(task_id), mapping={"msg": message_of(task_id, queue=queue), "state": "pending"})


async def test_a_plain_push_wakes_an_idle_server(redis_url: str, redis: Redis) -> None:
    async with Server(redis_url, nothing, poll_interval=NEVER):
        for count, task_id in enumerate("abc", start=1):
            await idle(redis)
            await store(redis, task_id)
            await redis.lpush(QueueKeys("default").pending, task_id)
            await books_become(redis, Books(processed=count))


async def test_a_push_within_a_script_wakes_an_idle_server(redis_url: str, redis: Redis) -> None:
    """As Go does it."""
    script = "return redis.call('LPUSH', KEYS[1], ARGV[1])"
    async with Server(redis_url, nothing, poll_interval=NEVER):
        await idle(redis)
        await store(redis, "a")
        await redis.eval(script, 1, QueueKeys("default").pending, "a")
        await books_become(redis, Books(processed=1))


async def test_each_of_several_queues_wakes_an_idle_server(
    redis_url: str, redis: Redis, client: Client
) -> None:
    async with Server(redis_url, nothing, queues=["q", "r"], poll_interval=NEVER):
        for queue in ("r", "q"):
            await idle(redis, queues=2)
            await client.enqueue(Task("t", queue=queue))
            await books_become(redis, Books(processed=1), queue)


async def test_a_broken_watch_is_replaced(proxy: Proxy, redis: Redis, client: Client) -> None:
    async with Server(proxy.url, nothing, poll_interval=0.2):
        await idle(redis)
        proxy.cut_all()
        await idle(redis)
        await client.enqueue(Task("t"))
        await books_become(redis, Books(processed=1))


async def test_a_queue_that_may_not_be_watched_is_polled(
    login_with: LoginWith, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def is_polled() -> bool:
        return "is polled, as it cannot be watched" in caplog.text

    async with Server(await login_with("+@all", "-blmove"), nothing, poll_interval=0.05):
        await eventually(is_polled)
        for count in range(1, 4):
            await client.enqueue(Task("t"))
            await books_become(redis, Books(processed=count))


async def test_watching_takes_no_task_and_changes_no_order(
    redis_url: str, redis: Redis, client: Client
) -> None:
    order: list[str] = []

    async def handler(task: ActiveTask) -> None:
        order.append(task.id)

    many = [f"{n:03}" for n in range(50)]
    async with Server(redis_url, handler, concurrency=1, poll_interval=NEVER):
        await idle(redis)
        for task_id in many:
            await client.enqueue(Task("t", task_id=task_id))
        await books_become(redis, Books(processed=50))
    assert order == many
