"""A server waits for a Redis that is not there, says so once, and works when it comes. Behaviour 17; F12."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, ServerOptions, Task
from tests.books import Books, books_become
from tests.eventually import eventually
from tests.integration.server.conftest import LoginWith
from tests.lasting_server import LastingServer
from tests.proxy import Proxy


async def nothing(task: ActiveTask) -> None:
    pass


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said about Redis being there, one word each."""
    messages = [record.getMessage() for record in caplog.records]
    return [
        word for text in messages for word in ("away", "back") if text.startswith("Redis at") and word in text
    ]


@pytest.fixture
def absent(server_kind: str, redis_url: str, tmp_path: Path) -> LastingServer:
    """A server that has not been started yet. (`redis_url` brings the choice of its kind.)"""
    if server_kind == "docker":
        pytest.skip("a container cannot be started on a port chosen before")
    return LastingServer(server_kind, tmp_path)


async def test_a_server_started_before_redis_works_once_redis_comes(
    absent: LastingServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def tries() -> int:
        return sum("not reachable" in record.getMessage() for record in caplog.records)

    with absent:
        async with Server(absent.url, nothing, forward_interval=0.05, recover_interval=0.05) as server:
            await eventually(tries)
            await asyncio.to_thread(absent.start)
            async with Client(absent.url) as client, Redis.from_url(absent.url) as redis:
                await client.enqueue(Task("t"))
                await books_become(redis, Books(processed=1))
            assert server.state == "active"
    assert said(caplog) == ["away", "back"]


async def test_a_server_can_be_shut_down_while_redis_is_absent(absent: LastingServer) -> None:
    async with asyncio.timeout(20), Server(absent.url, nothing):
        pass


async def test_an_outage_is_told_once_however_many_parts_notice_it(
    proxy: Proxy, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    pings: asyncio.Queue[Exception | None] = asyncio.Queue()
    busy: ServerOptions = {
        "forward_interval": 0.05,
        "recover_interval": 0.05,
        "lease": 2.0,
        "health_check": pings.put_nowait,
        "health_check_interval": 0.2,
    }

    async def is_over() -> bool:
        return said(caplog)[-1:] == ["back"]

    async with asyncio.timeout(30), Server(proxy.url, nothing, **busy):
        for outage in range(1, 3):
            await client.enqueue(Task("t"))
            await books_become(redis, Books(processed=outage))
            caplog.clear()
            proxy.is_refusing = True
            proxy.cut_all()
            failed = 0
            while failed < 6:  # for a second at least, in which every part notices more than once
                failed += await pings.get() is not None
            assert said(caplog) == ["away"]
            proxy.is_refusing = False
            await eventually(is_over)
            assert said(caplog) == ["away", "back"]


@pytest.mark.usefixtures("one_server")  # whose users are all there are
async def test_a_server_that_loses_its_rights_asks_ever_more_rarely_and_works_when_it_has_them_again(
    redis_url: str,
    redis: Redis,
    client: Client,
    login_with: LoginWith,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F67."""

    async def pauses() -> list[str]:
        messages = [r.getMessage() for r in caplog.records if r.name == "asynq_py.server.fetcher"]
        assert all("denies access" in text for text in messages)
        return [text.partition("again in ")[2].partition(" s:")[0] for text in messages]

    monkeypatch.setattr("asynq_py.server.fetcher.LONGEST_REFUSAL", 2.0)
    url = await login_with("+@all")
    async with Server(url, nothing, poll_interval=0.05):
        await client.enqueue(Task("t"))
        await books_become(redis, Books(processed=1))
        await redis.acl_setuser("tester", commands=["-evalsha", "-eval"])
        await client.enqueue(Task("t"))
        assert await eventually(pauses, lambda seen: len(seen) >= 3) == ["1", "2", "2"]
        await redis.acl_setuser("tester", commands=["+evalsha", "+eval"])
        await books_become(redis, Books(processed=2))
