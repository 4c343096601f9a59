"""Connections that break at any byte, are closed again and again, or bring garbage.

F2, F8, F10, F46, F57, F66.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    BrokerUnavailableError,
    Client,
    DuplicateTaskError,
    Server,
    Task,
    TaskIDConflictError,
    TaskInfo,
)
from asynq_py.broker.broker import Broker
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.integration.broker.test_faults import BEFORE, CALLS
from tests.lanes import lane_to
from tests.proxy import Answer, Cut, Hold, Proxy
from tests.state import dump, seed

LONGEST = 200  # bytes; no answer of these scripts is longer

GARBAGE = [b"garbage\r\n", b"\x00\r\n", b":one\r\n", b"*x\r\n", b"$-5\r\n", b"?\r\n"]


@pytest.fixture
async def shaky(proxy: Proxy, clock: ManualClock) -> AsyncGenerator[Broker]:
    """A broker behind the proxy."""
    async with lane_to(proxy.url) as lane:
        yield Broker(lane, clock)


async def known(call: Callable[[Broker], Awaitable[object]], broker: Broker, redis: Redis) -> None:
    """Let Redis know the script, and be as it was."""
    await call(broker)
    await reset(redis)


async def reset(redis: Redis) -> None:
    await redis.flushall()
    await seed(redis, BEFORE)


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_may_break_off_after_any_byte(
    shaky: Broker, proxy: Proxy, broker: Broker, redis: Redis, name: str
) -> None:
    """F57: it is told as maybe done, and the next call has its own answer."""
    call = CALLS[name]
    await known(call, broker, redis)
    expected = await call(shaky)
    after = await dump(redis)

    for length in range(LONGEST):
        await reset(redis)
        proxy.inject(Cut(after=length))
        try:
            answer = await call(shaky)
        except BrokerUnavailableError as error:
            is_told = error.maybe_done
        else:  # that was all of it
            assert answer == expected
            assert length >= 4
            break
        assert is_told
        assert await dump(redis) == after
    else:
        pytest.fail("the answer never came")
    await reset(redis)
    assert await call(shaky) == expected


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_is_no_answer_and_the_connection_that_brought_it_is_left(
    shaky: Broker, proxy: Proxy, garbage: bytes
) -> None:
    """F57."""
    await shaky.ping()
    proxy.inject(Answer(garbage), at=b"PING")

    with pytest.raises(BrokerUnavailableError) as caught:
        await shaky.ping()

    assert caught.value.maybe_done
    before = proxy.count(b"CLIENT")
    await shaky.ping()
    assert proxy.count(b"CLIENT") == before + 1  # a new one, which said hello


async def test_of_a_batch_whose_answer_breaks_off_each_task_gets_its_answer(
    proxy: Proxy, redis: Redis
) -> None:
    """F8: stored, refused for its ID, refused for its lock, each as if nothing had happened."""
    async with Client(proxy.url, timeout=50) as client:
        await client.enqueue(Task("t", "used", task_id="used"))
        await client.enqueue(Task("t", "locked", unique=600))
        for length in range(0, 20, 3):
            proxy.inject(Cut(after=length))
            fresh, used, locked, last = await client.enqueue_many(
                [
                    Task("t", task_id=f"fresh {length}"),
                    Task("t", "other", task_id="used"),
                    Task("t", "locked", unique=600),
                    Task("t", task_id=f"last {length}"),
                ]
            )
            assert isinstance(fresh, TaskInfo)
            assert isinstance(used, TaskIDConflictError)
            assert isinstance(locked, DuplicateTaskError)
            assert isinstance(last, TaskInfo)
    seen = await books(redis)
    assert Counter(seen.pending).most_common(1)[0][1] == 1
    assert len(seen.pending) == 2 + 7 * 2


async def test_a_hundred_answers_to_an_enqueue_are_lost_and_no_task_is_doubled_or_refused(
    proxy: Proxy, redis: Redis
) -> None:
    """F2."""
    async with Client(proxy.url, timeout=50) as client:
        await client.enqueue(Task("t", task_id="first"))
        for number in range(100):
            proxy.inject(Cut())
            await client.enqueue(Task("t", number, task_id=str(number), unique=600))
    assert await books(redis) == Books(pending=("first", *map(str, range(100))), locks=100)


async def test_hundreds_may_enqueue_at_once_by_one_connection(proxy: Proxy, redis: Redis) -> None:
    """F10: there is no pool that could be empty."""
    async with Client(proxy.url, timeout=50) as client:
        await client.ping()
        held = proxy.inject(Hold())
        calls = [asyncio.ensure_future(client.enqueue(Task("t"))) for _ in range(500)]
        await held.happened.wait()
        assert proxy.connected == 1
        held.release.set()
        infos = await asyncio.gather(*calls)
    assert len({info.id for info in infos}) == await redis.llen("asynq:{default}:pending") == 500


async def test_outcomes_are_written_while_what_handlers_enqueue_waits_for_redis(
    redis_url: str, redis: Redis, proxy: Proxy, client: Client
) -> None:
    """F46: users' traffic has connections of its own."""
    await client.enqueue_many([Task("work", task_id=str(n)) for n in range(5)])
    async with Client(proxy.url, timeout=50) as slow:
        await slow.ping()
        held = proxy.inject(Hold())
        calls: list[asyncio.Future[TaskInfo]] = []

        async def handler(task: ActiveTask) -> None:
            calls.extend(asyncio.ensure_future(slow.enqueue(Task("t"), queue="other")) for _ in range(200))

        async with Server(redis_url, handler, concurrency=2):
            await books_become(redis, Books(processed=5))
        assert not any(call.done() for call in calls)
        held.release.set()
        await asyncio.gather(*calls)
    assert await redis.llen("asynq:{other}:pending") == 1000


@pytest.mark.usefixtures("one_server")
async def test_each_task_runs_once_though_connections_are_closed_again_and_again(
    redis_url: str, redis: Redis
) -> None:
    """F66: CLIENT KILL of all but the one who asks, while tasks come in and are run.

    What has ended stays for a while: a task that ended and was deleted before its lost answer was asked for
    again would be stored once more.
    """
    runs: Counter[bytes] = Counter()
    names = [b"%d" % number for number in range(300)]

    async def handler(task: ActiveTask) -> None:
        runs[task.payload] += 1
        await asyncio.sleep(0.005)

    async def produce(client: Client) -> None:
        for name in names:
            await client.enqueue(Task("t", name), retention=600)

    async def count_after_a_kill() -> int:
        await redis.client_kill_filter(_type="pubsub")
        await redis.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.02)
        return (await books(redis)).processed

    async with Client(redis_url, timeout=30) as client, Server(redis_url, handler):
        producing = asyncio.create_task(produce(client))
        await eventually(count_after_a_kill, lambda count: count >= 200, within=40)
        await producing
        await eventually(lambda: books(redis), lambda seen: not seen.pending and not seen.active, within=40)
    left = await books(redis)
    assert left == Books(completed=left.completed, processed=len(names))
    assert len(left.completed) == len(names)
    assert runs == Counter(names)


async def test_a_server_goes_on_with_its_work_after_each_of_many_breaks(
    proxy: Proxy, redis: Redis, client: Client
) -> None:
    """Workers of others have been found deaf after a reconnection: alive, and taking nothing any more."""
    async with Server(proxy.url, lambda task: None):
        for number in range(1, 26):
            await client.enqueue(Task("t"))
            await books_become(redis, Books(processed=number))
            proxy.is_refusing = True
            proxy.cut_all()
            await eventually(lambda: _number(proxy.connected), lambda connected: connected == 0)
            proxy.is_refusing = False


@pytest.mark.parametrize("ends", ["completes", "fails"])
async def test_a_task_that_ended_before_its_lost_answer_was_asked_for_again_is_no_conflict(
    proxy: Proxy, redis_url: str, redis: Redis, ends: str
) -> None:
    """F2: its message has changed since, so it is known no more by its bytes, but by the ID that we chose."""

    async def handler(task: ActiveTask) -> None:
        if ends == "fails":
            raise ValueError

    async with Client(proxy.url, timeout=30) as client, Server(redis_url, handler):
        await client.enqueue(Task("t"), queue="other")
        lost = proxy.inject(Cut())
        proxy.inject(refused := Answer(b"-LOADING Redis is loading\r\n"), times=1)
        enqueueing = asyncio.create_task(client.enqueue(Task("t"), retention=600))
        await lost.happened.wait()
        seen = await eventually(lambda: books(redis), lambda seen: seen.processed == 1)
        info = await enqueueing
    assert refused.happened.is_set()
    assert {info.id} == (seen.completed if ends == "completes" else seen.retry)


async def test_an_id_that_the_caller_chose_is_still_a_conflict(
    proxy: Proxy, redis_url: str, redis: Redis
) -> None:
    async with Client(redis_url) as other, Client(proxy.url, timeout=50) as client:
        await other.enqueue(Task("t", "theirs"), task_id="a")
        proxy.inject(Cut())
        with pytest.raises(TaskIDConflictError):
            await client.enqueue(Task("t", "ours"), task_id="a")


async def _number(number: int) -> int:
    return number
