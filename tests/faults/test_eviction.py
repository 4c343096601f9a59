"""A server that does not start where Redis may throw tasks away. F54."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py import BrokerError, Client, InvalidOptionError, Server, Task
from tests.books import Books, books, books_become
from tests.eventually import eventually
from tests.integration.server.conftest import LoginWith, login_with
from tests.proxy import Proxy
from tests.servers import each_server

__all__ = ["login_with"]


@pytest.fixture
async def evicting(redis: Redis) -> AsyncGenerator[str]:
    """One of the servers there are may throw keys away, had it any limit."""
    async with each_server(redis) as servers:
        await servers[-1].config_set("maxmemory-policy", "allkeys-lru")
        yield "allkeys-lru"
        await servers[-1].config_set("maxmemory-policy", "noeviction")


def ignore(task: object) -> None:
    pass


async def test_a_server_that_requires_it_does_not_start_where_keys_may_be_thrown_away(
    redis_url: str, redis: Redis, client: Client, evicting: str
) -> None:
    await client.enqueue(Task("t", task_id="a"))

    with pytest.raises(BrokerError, match=r"Redis at .+ has maxmemory-policy allkeys-lru.* set noeviction"):
        await Server(redis_url, ignore, require_noeviction=True, handle_signals=False).serve()
    server = Server(redis_url, ignore, require_noeviction=True)
    await server.start()
    with pytest.raises(BrokerError, match="maxmemory-policy"):
        await server.wait_closed()
    assert await books(redis) == Books(pending=("a",))

    async with Server(redis_url, ignore):  # who does not require it
        await books_become(redis, Books(processed=1))


async def test_a_server_that_requires_it_works_where_nothing_is_thrown_away(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await client.enqueue(Task("t"))
    async with Server(redis_url, ignore, require_noeviction=True):
        await books_become(redis, Books(processed=1))


async def test_a_server_that_may_not_ask_for_the_policy_says_which_right_it_needs(
    login_with: LoginWith,
) -> None:
    server = Server(await login_with("+@all", "-info"), ignore, require_noeviction=True, handle_signals=False)
    with pytest.raises(BrokerError, match=r"require_noeviction needs the right \+info: .*NOPERM"):
        await server.serve()


async def test_a_server_that_waits_for_redis_takes_no_task_before_it_knows_the_policy(
    proxy: Proxy, redis: Redis, client: Client, evicting: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def is_waiting() -> bool:
        return "waiting for it" in caplog.text

    await client.enqueue(Task("t", task_id="a"))
    proxy.is_refusing = True
    server = Server(proxy.url, ignore, require_noeviction=True)
    await server.start()
    await eventually(is_waiting)
    proxy.is_refusing = False
    with pytest.raises(BrokerError, match="maxmemory-policy allkeys-lru"):
        await server.wait_closed()
    assert await books(redis) == Books(pending=("a",))


async def test_a_server_that_waits_for_the_policy_can_be_shut_down(proxy: Proxy) -> None:
    proxy.is_refusing = True
    server = Server(proxy.url, ignore, require_noeviction=True)
    await server.start()
    await server.shutdown()
    await server.wait_closed()


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_what_is_no_yes_or_no_is_refused(value: object) -> None:
    with pytest.raises(InvalidOptionError, match="require_noeviction"):
        Server("redis://nowhere", ignore, require_noeviction=value)  # type: ignore[arg-type]
