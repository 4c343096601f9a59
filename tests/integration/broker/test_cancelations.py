import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from redis.asyncio import Redis

from asynq_py.broker import cancelations as cancelations_module
from asynq_py.broker.cancelations import cancelations
from asynq_py.connection import Connector
from asynq_py.errors import BrokerError, BrokerUnavailableError
from tests.eventually import eventually
from tests.proxy import Answer, Hold, Proxy


@pytest.fixture
async def messages(connector: Connector) -> AsyncGenerator[AsyncGenerator[str | None]]:
    async with aclosing(cancelations(connector)) as messages:
        yield messages


async def test_ids_come_in_order_once_it_has_subscribed(
    messages: AsyncGenerator[str | None], redis: Redis
) -> None:
    assert await anext(messages) is None
    for task_id in ("a", "tâsk", b"\xff"):
        assert await redis.publish("asynq:cancel", task_id) == 1

    assert [await anext(messages) for _ in range(3)] == ["a", "tâsk", "�"]


async def test_silence_is_bridged_by_asking_whether_the_connection_lives(
    messages: AsyncGenerator[str | None], proxy: Proxy, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelations_module, "PING_EVERY", 0.05)
    await anext(messages)
    asked = proxy.inject(Hold(), at=b"PING")
    waiting = asyncio.ensure_future(anext(messages))
    await asked.happened.wait()
    asked.release.set()

    await redis.publish("asynq:cancel", "a")

    assert await waiting == "a"


async def test_a_connection_that_has_gone_silent_is_told(
    messages: AsyncGenerator[str | None], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelations_module, "PING_EVERY", 0.05)
    monkeypatch.setattr(cancelations_module, "ANSWER", 0.1)
    await anext(messages)
    proxy.inject(Hold(), at=b"PING")

    with pytest.raises(BrokerUnavailableError, match="no answer in time"):
        await anext(messages)


async def test_a_broken_connection_is_told(messages: AsyncGenerator[str | None], proxy: Proxy) -> None:
    await anext(messages)
    proxy.cut_all()

    with pytest.raises(BrokerUnavailableError):
        await anext(messages)


async def test_an_absent_redis_is_told(messages: AsyncGenerator[str | None], proxy: Proxy) -> None:
    proxy.is_refusing = True

    with pytest.raises(BrokerUnavailableError):
        await anext(messages)


async def test_a_refused_subscription_is_told(messages: AsyncGenerator[str | None], proxy: Proxy) -> None:
    proxy.inject(Answer(b"-NOPERM no permissions to access one of the channels\r\n"), at=b"SUBSCRIBE")

    with pytest.raises(BrokerError, match="denies access"):
        await anext(messages)


async def test_nobody_listens_any_more_after_the_end(connector: Connector, redis: Redis) -> None:
    async with aclosing(cancelations(connector)) as messages:
        await anext(messages)
        assert await redis.publish("asynq:cancel", "a") == 1

    await eventually(lambda: redis.publish("asynq:cancel", "a"), lambda heard_it: heard_it == 0)


async def test_a_server_that_accepts_and_then_says_nothing_is_told(proxy: Proxy) -> None:
    """A frozen one, say: its machine still answers for it."""
    proxy.inject(Hold(), at=b"CLIENT")
    hasty = f"{proxy.url}?socket_timeout=0.2"

    async with asyncio.timeout(20):
        with pytest.raises(BrokerUnavailableError, match="no answer in time"):
            await anext(cancelations(Connector(hasty)))
