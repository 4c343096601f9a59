"""Cancelation messages reach a server even after its connection broke. Behaviour 11.3."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis, RedisCluster

from asynq_py import ActiveTask, Client, Inspector, Server, ServerOptions, Task
from tests.books import Books, books_become
from tests.eventually import eventually
from tests.integration.server.conftest import LoginWith
from tests.proxy import Proxy
from tests.servers import each_server

Subscribed = Callable[[], Awaitable[object]]


async def for_ever(task: ActiveTask) -> None:
    await asyncio.Event().wait()


async def test_a_server_listens_again_after_its_connection_broke(
    proxy: Proxy, redis: Redis, client: Client, inspector: Inspector, subscribed: Subscribed
) -> None:
    async def listening() -> int:
        async with each_server(redis) as servers:
            return sum([(await server.pubsub_numsub("asynq:cancel"))[0][1] for server in servers])

    await client.enqueue(Task("t", task_id="a"))
    async with Server(proxy.url, for_ever, shutdown_timeout=0):
        await subscribed()
        proxy.is_refusing = True
        proxy.cut_all()
        await eventually(listening, lambda count: count == 0)
        proxy.is_refusing = False
        await subscribed()
        await books_become(redis, Books(active=("a",)))
        await inspector.cancel_processing("a")
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))


async def test_an_id_is_cancelled_in_whatever_queues_it_runs(
    redis_url: str, redis: Redis, client: Client, inspector: Inspector, subscribed: Subscribed
) -> None:
    """Q-42: the channel names no queue."""
    for queue in ("q", "r"):
        await client.enqueue(Task("t", task_id="a", queue=queue))
    await client.enqueue(Task("t", task_id="b", queue="q"))
    async with Server(redis_url, for_ever, queues=["q", "r"], shutdown_timeout=0):
        await subscribed()
        await books_become(redis, Books(active=("a", "b")), "q")
        await books_become(redis, Books(active=("a",)), "r")
        await inspector.cancel_processing("a")
        cancelled = Books(retry={"a"}, processed=1, failed=1)
        await books_become(redis, cancelled, "r")
        await books_become(redis, Books(active=("b",), retry={"a"}, processed=1, failed=1), "q")


async def test_a_server_that_hears_nothing_cancels_with_its_next_beat(
    login_with: LoginWith, redis: Redis, client: Client, inspector: Inspector
) -> None:
    """F59. In the queue beside it, a task of the same ID is cancelled as well (Q-42)."""
    for queue in ("q", "r"):
        await client.enqueue_many([Task("t", task_id="a"), Task("t", task_id="b")], queue=queue)
    options: ServerOptions = {"queues": ["q", "r"], "lease": 8, "shutdown_timeout": 0}
    async with Server(await login_with("+@all", "-subscribe"), for_ever, **options):
        for queue in ("q", "r"):
            await books_become(redis, Books(active=("a", "b")), queue)
        assert await inspector.cancel_processing("a") is True
        for queue in ("q", "r"):
            cancelled = Books(active=("b",), retry={"a"}, processed=1, failed=1)
            await books_become(redis, cancelled, queue, within=60)


async def test_a_server_that_may_not_subscribe_works_all_the_same_and_says_so(
    login_with: LoginWith, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(task: ActiveTask) -> None:
        pass

    async def has_said_so() -> bool:
        return "tasks cannot be cancelled from outside" in caplog.text

    await client.enqueue(Task("t"))
    async with Server(await login_with("+@all", "-subscribe"), handler):
        await books_become(redis, Books(processed=1))
        await eventually(has_said_so)


async def test_without_the_rights_to_leave_word_a_wish_is_published_all_the_same(
    redis_url: str, redis: Redis, client: Client, login_with: LoginWith, subscribed: Subscribed
) -> None:
    await client.enqueue(Task("t", task_id="a"))
    url = await login_with("-@all", "+publish", "+client", "+ping", "+cluster|slots")
    async with Server(redis_url, for_ever, shutdown_timeout=0), Inspector(url) as inspector:
        await subscribed()
        await books_become(redis, Books(active=("a",)))
        is_heard = await inspector.cancel_processing("a")
        assert is_heard or isinstance(redis, RedisCluster)  # a node counts only those who listen to it
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))
