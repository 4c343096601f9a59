import asyncio
from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py.broker import watch as watch_module
from asynq_py.broker.broker import Broker
from asynq_py.broker.watch import Watch
from asynq_py.connection import Connector
from asynq_py.errors import BrokerError, BrokerUnavailableError
from tests.eventually import eventually
from tests.proxy import Answer, Cut, Hold, Proxy
from tests.state import NOW, dump, kept, new, seed, state


@pytest.fixture
async def watch(connector: Connector) -> AsyncGenerator[Watch]:
    watch = Watch(connector, "q")
    yield watch
    await watch.aclose()


async def until_it_waits(redis: Redis) -> None:
    await eventually(lambda: redis.info("clients"), lambda seen: seen["blocked_clients"] > 0)


async def test_work_that_is_there_is_told_at_once_and_left_as_it_is(watch: Watch, redis: Redis) -> None:
    await seed(redis, before := state(pending=[kept("a"), kept("b")]))

    assert await watch.has_work() is True
    assert await watch.has_work() is True
    assert await dump(redis) == before


@pytest.mark.parametrize("by", ["enqueue", "forward", "a Go client"])
async def test_work_that_comes_wakes_the_watch(watch: Watch, broker: Broker, redis: Redis, by: str) -> None:
    await seed(redis, state(scheduled=[kept("s", NOW)]))
    waiting = asyncio.ensure_future(watch.has_work())
    await until_it_waits(redis)

    if by == "enqueue":
        await broker.enqueue("q", [new("a")])
    elif by == "forward":
        await broker.forward("q")
    else:
        await redis.lpush("asynq:{q}:pending", "a")

    assert await waiting is True
    assert await redis.llen("asynq:{q}:pending") == 1


async def test_no_work_is_told_after_a_while_on_the_same_connection(
    watch: Watch, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "BLOCK", 0.05)

    assert await watch.has_work() is False
    greetings = proxy.count(b"CLIENT")
    assert await watch.has_work() is False
    assert proxy.count(b"BLMOVE") == 2
    assert proxy.count(b"CLIENT") == greetings > 0


async def test_a_cancelled_watch_can_be_asked_again(watch: Watch, redis: Redis) -> None:
    waiting = asyncio.ensure_future(watch.has_work())
    await until_it_waits(redis)
    waiting.cancel()
    await asyncio.wait([waiting])

    await redis.lpush("asynq:{q}:pending", "a")

    assert await watch.has_work() is True


async def test_a_broken_connection_is_told_and_then_replaced(
    watch: Watch, proxy: Proxy, redis: Redis
) -> None:
    await redis.lpush("asynq:{q}:pending", "a")
    proxy.inject(Cut(after=3), at=b"BLMOVE")

    with pytest.raises(BrokerUnavailableError):
        await watch.has_work()
    assert await watch.has_work() is True


async def test_a_silent_connection_is_told(
    watch: Watch, proxy: Proxy, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "BLOCK", 0.05)
    monkeypatch.setattr(watch_module, "ANSWER", 0.2)
    proxy.inject(Hold(), at=b"BLMOVE")

    with pytest.raises(BrokerUnavailableError, match="no answer in time"):
        await watch.has_work()
    assert await watch.has_work() is False


async def test_an_absent_redis_is_told(watch: Watch, proxy: Proxy) -> None:
    proxy.is_refusing = True

    with pytest.raises(BrokerUnavailableError):
        await watch.has_work()


async def test_a_redis_that_cannot_do_it_is_told(watch: Watch, proxy: Proxy) -> None:
    proxy.inject(Answer(b"-ERR unknown command 'BLMOVE'\r\n"), at=b"BLMOVE")

    with pytest.raises(BrokerError):
        await watch.has_work()


async def test_closing_twice_is_fine(watch: Watch, redis: Redis) -> None:
    await redis.lpush("asynq:{q}:pending", "a")
    await watch.has_work()
    await watch.aclose()
    await watch.aclose()

    assert await watch.has_work() is True


async def test_a_server_that_accepts_and_then_says_nothing_is_told(proxy: Proxy) -> None:
    """A frozen one, say: its machine still answers for it."""
    proxy.inject(Hold(), at=b"CLIENT")
    hasty = f"{proxy.url}?socket_timeout=0.2"

    async with asyncio.timeout(20):
        with pytest.raises(BrokerUnavailableError, match="no answer in time"):
            await Watch(Connector(hasty), "q").has_work()
