"""The user's callback learns of each ping. Behaviour 11.8."""

from __future__ import annotations

import asyncio

import pytest

from asynq_py import ActiveTask, BrokerUnavailableError, Server
from tests.proxy import Proxy


async def nothing(task: ActiveTask) -> None:
    pass


async def test_a_callback_hears_that_redis_is_there_goes_away_and_comes_back(proxy: Proxy) -> None:
    heard: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def until(kind: type[Exception] | None) -> None:
        while (error := await heard.get()) is not None or kind is not None:
            if kind is not None and isinstance(error, kind):
                return

    async with (
        asyncio.timeout(20),
        Server(proxy.url, nothing, health_check=heard.put_nowait, health_check_interval=0.05),
    ):
        await until(None)
        proxy.is_refusing = True
        proxy.cut_all()
        await until(BrokerUnavailableError)
        proxy.is_refusing = False
        await until(None)


async def test_a_callback_may_be_a_coroutine_function_and_may_fail(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls, thrice = 0, asyncio.Event()

    async def check(error: Exception | None) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            thrice.set()
        raise ZeroDivisionError

    async with (
        asyncio.timeout(20),
        Server(redis_url, nothing, health_check=check, health_check_interval=0.05) as server,
    ):
        await thrice.wait()
        assert server.state == "active"
    assert caplog.text.count("the health check callback failed") >= 3
