"""Tasks under a rate: those that fit run, the others come again, and none fails for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    AsyncHandler,
    BrokerUnavailableError,
    Client,
    Inspector,
    InvalidOptionError,
    RateLimit,
    RetryLater,
    ServeMux,
    Server,
    Task,
)
from asynq_py.active_task import ActiveTask as Active
from asynq_py.ratelimit.limit import _delay
from tests.books import Books, books, books_become, message
from tests.clock import ManualClock
from tests.integration.ratelimit.conftest import spans
from tests.proxy import Proxy
from tests.unit.tries import active_task

RATES = ["2/h", "2/h burst 2"]


def behind(limit: RateLimit, ran: list[str] | None = None) -> ServeMux:
    """A handler behind the limit, which notes what it ran."""
    mux = ServeMux()
    mux.use(limit)

    @mux.handler("t")
    async def handler(task: ActiveTask) -> None:
        if ran is not None:
            ran.append(task.id)

    return mux


@pytest.mark.parametrize("rate", RATES)
async def test_a_task_over_the_limit_comes_again_when_a_place_is_free_and_has_not_failed(
    redis_url: str, redis: Redis, client: Client, inspector: Inspector, clock: ManualClock, rate: str
) -> None:
    ran: list[str] = []
    async with RateLimit(redis_url, rate, name="mail", clock=clock) as limit:
        async with Server(redis_url, behind(limit, ran), concurrency=1):
            await client.enqueue_many([Task("t", task_id=name) for name in "abcd"])
            await books_become(redis, Books(processed=2, retry={"c", "d"}))

            kept = await message(redis, "c")
            assert (kept.retried, kept.error_msg) == (0, f"RetryLater: over the limit 'mail' of {rate}")
            waits = {task.id: task.next_process_at for task in await inspector.list_retry("default")}
            assert waits["c"] is not None
            assert waits["d"] is not None
            apart = (waits["d"] - waits["c"]).total_seconds()
            assert apart < 5 if rate == "2/h" else 1795 < apart < 1805

            await inspector.run_task("default", "c")  # too early: it goes back, and keeps its place
            await books_become(redis, Books(processed=2, retry={"c", "d"}))
            clock.advance(3600)
            await inspector.run_task("default", "c")
            await inspector.run_task("default", "d")
            await books_become(redis, Books(processed=4))
        assert await books(redis) == Books(processed=4)
    assert ran == ["a", "b", "c", "d"]


async def test_a_task_whose_retries_are_used_up_is_put_off_all_the_same(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock
) -> None:
    async with RateLimit(redis_url, "1/h", name="mail", clock=clock) as limit:
        assert await limit.try_acquire()
        async with Server(redis_url, behind(limit)):
            await client.enqueue(Task("t", task_id="a"), max_retry=0)
            await books_become(redis, Books(retry={"a"}))


async def test_a_short_wait_is_spent_in_the_worker(redis_url: str, redis: Redis, client: Client) -> None:
    put_off: list[BaseException] = []
    limit = RateLimit(redis_url, "1/s burst 1", name="mail", patience=60)
    server = Server(
        redis_url, behind(limit), concurrency=3, error_handler=lambda task, error: put_off.append(error)
    )
    async with limit, server:
        await client.enqueue_many([Task("t", task_id=name) for name in "abc"])
        await books_become(redis, Books(processed=3))
    assert put_off == []


@pytest.mark.parametrize(
    ("key", "through"),
    [
        (None, {"a"}),
        ("queue", {"a", "d"}),
        ("type", {"a", "c"}),
        ("payload.tenant", {"a", "b"}),
        (lambda task: None if task.id == "b" else "all", {"a", "b"}),
    ],
)
async def test_each_value_of_the_key_has_a_limit_of_its_own(
    redis_url: str, key: str | Callable[[Active], object] | None, through: set[str]
) -> None:
    ran: set[str] = set()

    async def handler(task: Active) -> None:
        ran.add(task.id)

    tasks = [
        _task("a", "t", "q1", b'{"tenant":1}'),
        _task("b", "t", "q1", b'{"tenant":2}'),
        _task("c", "u", "q1", b'{"tenant":1}'),
        _task("d", "t", "q2", b'{"tenant":1}'),
    ]
    async with RateLimit(redis_url, "1/h", name="mail", key=key) as limit:
        for task in tasks:
            with contextlib.suppress(RetryLater):
                await limit(task, handler)
    assert ran == through


def _task(task_id: str, kind: str, queue: str, payload: bytes) -> Active:
    task = active_task(kind, payload)
    task._message.id, task._message.queue = task_id, queue
    return task


async def _nothing(task: Active) -> None: ...


async def put_off(limit: RateLimit, task: Active, handler: AsyncHandler = _nothing) -> float:
    """Seconds for which the limit puts the task off, or 0."""
    try:
        await limit(task, handler)
    except RetryLater as later:
        return later.delay
    return 0.0


async def test_limits_of_the_same_name_are_one_and_those_of_other_names_are_not(redis_url: str) -> None:
    async with (
        RateLimit(redis_url, "1/h", name="mail") as one,
        RateLimit(redis_url, "1/h", name="mail") as same,
        RateLimit(redis_url, "1/h", name="other") as other,
    ):
        assert await one.try_acquire()
        assert not await same.try_acquire()
        assert await other.try_acquire()
        assert await one.try_acquire("key")


async def test_a_task_that_waits_looks_again_after_an_hour_at_the_latest(
    redis_url: str, clock: ManualClock
) -> None:
    async with RateLimit(redis_url, "1/2d", name="mail", clock=clock) as limit:
        await limit.try_acquire()
        assert 3200 < await put_off(limit, active_task()) <= 3600


@pytest.mark.parametrize(
    ("wait", "least", "most"), [(0.5, 0.5, 0.55), (5, 5, 5.5), (600, 600, 601), (1e6, 3240, 3600)]
)
def test_a_delay_is_the_wait_and_a_little_more(wait: float, least: float, most: float) -> None:
    assert all(least <= _delay(wait) <= most for _ in range(100))


async def test_an_error_of_the_handler_passes_through_and_its_place_is_used(
    redis_url: str, clock: ManualClock
) -> None:
    async def fails(task: Active) -> None:
        raise KeyError("boom")

    async with RateLimit(redis_url, "1/h", name="mail", clock=clock) as limit:
        with pytest.raises(KeyError):
            await limit(active_task(), fails)
        assert await put_off(limit, active_task()) > 0


async def test_while_redis_is_away_tasks_are_put_off_for_some_seconds(proxy: Proxy) -> None:
    async with RateLimit(proxy.url, "5/s", name="mail") as limit:
        await limit.try_acquire()
        proxy.is_refusing = True
        proxy.cut_all()
        with pytest.raises(RetryLater, match="nobody can be asked about the limit 'mail'") as raised:
            await limit(active_task(), _nothing)
        assert 1 <= raised.value.delay <= 5
        with pytest.raises(BrokerUnavailableError):
            await limit.try_acquire()


async def test_an_outage_that_a_handler_meets_is_its_own_failure(redis_url: str) -> None:
    async def fails(task: Active) -> None:
        raise BrokerUnavailableError("of another Redis")

    async with RateLimit(redis_url, "5/s", name="mail") as limit:
        with pytest.raises(BrokerUnavailableError):
            await limit(active_task(), fails)


# -- outside of workers -------------------------------------------------------------------------------------


async def test_one_may_wait_for_a_place_in_line(redis_url: str) -> None:
    async with RateLimit(redis_url, "1/s burst 1", name="mail") as limit:
        assert await limit.try_acquire()
        async with asyncio.timeout(20):
            await asyncio.gather(limit.acquire(), limit.acquire("key"), limit.acquire(timeout=15))


@pytest.mark.parametrize("rate", RATES)
async def test_who_gives_up_waiting_leaves_the_line(redis_url: str, redis: Redis, rate: str) -> None:
    limit = RateLimit(redis_url, rate, name="mail")
    assert [await limit.try_acquire(), await limit.try_acquire()] == [True, True]
    with pytest.raises(TimeoutError):
        await limit.acquire(timeout=0.05)
    await limit.aclose()
    assert [key for key in await spans(redis) if key.endswith(":line")] == []


async def test_a_key_is_text_and_a_timeout_a_duration(redis_url: str) -> None:
    async with RateLimit(redis_url, "1/s", name="mail") as limit:
        with pytest.raises(InvalidOptionError, match="key=7"):
            await limit.try_acquire(7)  # type: ignore[arg-type]
        with pytest.raises(InvalidOptionError, match="timeout=-1"):
            await limit.acquire(timeout=-1)


@pytest.mark.parametrize("name", ["", " ", "a{b}", "x" * 256, None])
def test_a_name_is_checked(name: str) -> None:
    with pytest.raises(InvalidOptionError, match="name="):
        RateLimit("redis://nowhere", "1/s", name=name)


async def test_all_that_limits_store_passes_by_itself(redis_url: str, redis: Redis) -> None:
    async with (
        RateLimit(redis_url, "2/m", name="a") as window,
        RateLimit(redis_url, "2/m burst 2", name="b") as bucket,
    ):
        for number in range(4):
            task = _task(f"id{number}", "t", "q", b"")
            await put_off(window, task)
            await put_off(bucket, task)
    kept = await spans(redis)
    assert len(kept) == 4
    assert all(0 < seconds <= 86400 + 240 for seconds in kept.values())


async def test_a_closed_limit_may_be_closed_again(redis_url: str) -> None:
    limit = RateLimit(redis_url, "1/s", name="mail")
    await limit.try_acquire()
    await limit.aclose()
    await limit.aclose()
