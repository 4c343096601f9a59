"""Clocks that are wrong. F27, F28."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Scheduler, Server, Task
from asynq_py.broker.lane import Lane
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.redis_clock import RedisClock
from asynq_py.clock import SystemClock
from asynq_py.connection import Connector
from asynq_py.errors import BrokerUnavailableError
from asynq_py.server.config import ServerOptions
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.proxy import Answer, Proxy
from tests.state import kept, seed, state

HOUR = 3600.0
QUICK: ServerOptions = {"recover_interval": 0.1, "concurrency": 1}


class WrongClock(SystemClock):
    """That of a machine which is `ahead` seconds ahead."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def time(self) -> float:
        return super().time() + self.ahead


@pytest.fixture
async def lane(proxy: Proxy) -> AsyncGenerator[Lane]:
    connector = Connector(proxy.url)
    lane = open_lane(connector, role="test")
    assert isinstance(lane, Lane)
    yield lane
    await lane.aclose()
    await connector.aclose()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of clocks, without the seconds."""
    texts = [r.getMessage() for r in caplog.records if r.name == "asynq_py.broker.redis_clock"]
    return [" ".join(word for word in text.split() if not word.isdecimal()) for text in texts]


@pytest.mark.usefixtures("one_server")  # which counts how often each command was given
@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_servers_whose_clocks_differ_by_an_hour_leave_each_other_their_tasks(
    redis_url: str, redis: Redis, client: Client, ahead: float
) -> None:
    """F27: else each would be taken away from its worker at every look, and put aside after the third."""
    runs: Counter[str] = Counter()
    may_end = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        runs[task.id] += 1
        await may_end.wait()

    async def looks() -> int:
        return int((await redis.info("commandstats")).get("cmdstat_zrevrangebyscore", {}).get("calls", 0))

    await client.enqueue_many([Task("t", task_id=task_id) for task_id in "abc"])
    async with (
        Server(redis_url, handler, **QUICK),
        Server(redis_url, handler, **QUICK).replace(clock=WrongClock(ahead)),
        Server(redis_url, handler, **QUICK),
    ):
        await eventually(lambda: books(redis), lambda seen: len(seen.active) == 3)
        before = await looks()
        # an hour is more than a lease, so who went by the wrong clock would take them at the first look
        await eventually(looks, lambda calls: calls >= before + 60)
        may_end.set()
        await books_become(redis, Books(processed=3))
    assert runs == Counter("abc")


async def test_what_is_scheduled_comes_in_time_though_the_servers_clock_is_behind(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F27."""
    await client.enqueue(Task("t"), process_in=1)
    async with Server(redis_url, lambda task: None, clock=WrongClock(-HOUR)):
        await books_become(redis, Books(processed=1))


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_times_of_periodic_tasks_come_when_they_are_due_though_the_schedulers_clock_is_wrong(
    redis_url: str, redis: Redis, ahead: float
) -> None:
    """F27: else one scheduler would take the times of all others, an hour too early."""
    scheduler = Scheduler(redis_url, clock=WrongClock(ahead))
    scheduler.register("@every 1s", Task("t"))
    async with scheduler:
        await eventually(lambda: books(redis), lambda seen: len(seen.pending) >= 2)
        (key,) = [key async for key in redis.scan_iter("asynq:{default}:cron:*")]
        last = int(await redis.hget(key, "at") or 0)
    assert abs(last - SystemClock().time()) < 60


async def test_a_clock_that_is_wrong_is_told_once_and_its_correction_too(
    redis_url: str, lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    own = WrongClock(HOUR)
    clock = RedisClock(own)
    await clock.set(lane)
    await clock.set(lane)
    assert abs(clock.time() - SystemClock().time()) < 60
    own.ahead = -HOUR
    await clock.set(lane)
    assert abs(clock.time() - SystemClock().time()) < 60
    own.ahead = 0.0
    await clock.set(lane)
    assert abs(clock.time() - SystemClock().time()) < 60
    assert told(caplog) == [
        "our clock is s ahead of that of Redis, which is used",
        "our clock is s behind that of Redis, which is used",
        "our clock agrees with that of Redis again",
    ]


async def test_a_clock_that_differs_by_less_than_a_second_is_left_alone(lane: Lane, proxy: Proxy) -> None:
    own = WrongClock(0.0)
    clock = RedisClock(own)
    now = SystemClock().time()
    own.time = lambda: now  # type: ignore[method-assign]
    seconds, fraction = divmod(now + 0.9, 1)
    reply = f"*2\r\n${len(str(int(seconds)))}\r\n{int(seconds)}\r\n$6\r\n{int(fraction * 1e6):06d}\r\n"
    proxy.inject(Answer(reply.encode()), at=b"TIME")

    await clock.set(lane)

    assert clock.time() == now


async def test_a_clock_that_was_given_is_believed(lane: Lane, proxy: Proxy) -> None:
    clock = RedisClock(ManualClock(5.0))

    await clock.set_once(lane)
    await clock.set(lane)

    assert clock.time() == clock.monotonic() == 5.0
    assert proxy.requests == []


async def test_where_redis_withholds_its_time_it_is_asked_once_and_ours_is_believed(
    lane: Lane, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    denied = b"-NOPERM User x has no permissions to run the 'time' command\r\n"
    proxy.inject(Answer(denied), at=b"TIME")
    clock = RedisClock(WrongClock(HOUR))

    for _ in range(2):
        await clock.set(lane)

    assert proxy.count(b"TIME") == 1
    assert clock.time() > SystemClock().time() + HOUR / 2
    assert [text.partition(":")[0] for text in told(caplog)] == [
        "our clock is not compared with that of Redis"
    ]


async def test_before_the_clock_is_set_no_lease_is_taken_for_lost(
    redis_url: str, redis: Redis, proxy: Proxy
) -> None:
    """F27: Redis comes back to a server whose clock is an hour ahead, while others run their tasks."""
    soon = int(SystemClock().time()) + 600
    await seed(redis, state("default", active=[kept("theirs", soon + 0.000007)]))
    proxy.is_refusing = True
    async with Server(proxy.url, lambda task: None, recover_interval=0.05, clock=WrongClock(HOUR)):
        await eventually(lambda: _number(proxy.connected), lambda connected: connected == 0)
        proxy.is_refusing = False
        await eventually(
            lambda: _number(sum(_is_look(request) for request in proxy.requests)), lambda n: n > 3
        )
        assert (await books(redis)).active == ("theirs",)


async def test_without_redis_a_clock_is_not_set(lane: Lane, proxy: Proxy) -> None:
    proxy.is_refusing = True
    clock = RedisClock(WrongClock(HOUR))

    with pytest.raises(BrokerUnavailableError):
        await clock.set_once(lane)
    proxy.is_refusing = False
    await clock.set_once(lane)
    await clock.set_once(lane)

    assert proxy.count(b"TIME") == 1
    assert abs(clock.time() - SystemClock().time()) < 60


async def _number(number: int) -> int:
    return number


def _is_look(request: list[bytes]) -> bool:
    """Is it the script that recovers?"""
    from asynq_py.broker.broker import _RECOVER

    return request[0] in (b"EVALSHA", b"EVAL") and request[1] in (
        _RECOVER.sha.encode(),
        _RECOVER.body.encode(),
    )
