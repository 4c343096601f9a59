"""Tasks of which only so many run at once."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    BrokerUnavailableError,
    Client,
    ConcurrencyLimit,
    Hold,
    InvalidOptionError,
    RetryLater,
    ServeMux,
    Server,
    Task,
)
from asynq_py.wire.keys import LimitKeys
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.integration.ratelimit.conftest import spans
from tests.proxy import Cut, Proxy
from tests.unit.tries import active_task

KEYS = LimitKeys("gpu")


async def _nothing(task: ActiveTask) -> None: ...


async def test_no_more_tasks_run_at_once_than_the_limit_says_and_all_run(
    redis_url: str, redis: Redis, client: Client
) -> None:
    running = most = 0
    mux = ServeMux()

    @mux.handler("t")
    async def handler(task: ActiveTask) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        await redis.ping()
        running -= 1

    async with (
        ConcurrencyLimit(redis_url, 2, name="gpu") as one,
        ConcurrencyLimit(redis_url, 2, name="gpu") as another,
    ):
        mux.use(one)
        others = ServeMux()
        others.use(another)
        others.handle("t", handler)
        async with (
            Server(redis_url, mux, concurrency=10, forward_interval=0.1),
            Server(redis_url, others, concurrency=10, forward_interval=0.1),
        ):
            await client.enqueue_many([Task("t") for _ in range(12)])
            await books_become(redis, Books(processed=12), within=40)
    assert most <= 2
    assert await redis.exists(KEYS.holds) == 0


async def test_a_task_that_finds_no_place_comes_again_and_has_not_failed(
    redis_url: str, redis: Redis, client: Client
) -> None:
    let_end = asyncio.Event()
    mux = ServeMux()

    @mux.handler("t")
    async def handler(task: ActiveTask) -> None:
        await let_end.wait()

    async with ConcurrencyLimit(redis_url, 1, name="gpu", patience=0) as limit:
        mux.use(limit)
        async with Server(redis_url, mux, concurrency=2, forward_interval=0.1):
            await client.enqueue(Task("t", task_id="a"))
            await eventually(lambda: redis.zcard(KEYS.holds))
            await client.enqueue(Task("t", task_id="b"), max_retry=0)
            await eventually(lambda: books(redis), lambda seen: seen.retry == {"b"})
            let_end.set()
            await books_become(redis, Books(processed=2))


@pytest.mark.parametrize("error", [KeyError("boom"), RetryLater(5), asyncio.CancelledError()])
async def test_a_place_is_given_back_however_the_try_ends(redis_url: str, error: BaseException) -> None:
    async def ends(task: ActiveTask) -> None:
        assert await limit.try_acquire() is None
        raise error

    async with ConcurrencyLimit(redis_url, 1, name="gpu") as limit:
        with pytest.raises(type(error)):
            await limit(active_task(), ends)
        assert await limit.try_acquire()


async def test_each_value_of_the_key_has_places_of_its_own(redis_url: str) -> None:
    async with ConcurrencyLimit(redis_url, 1, name="gpu", key="payload.tenant", patience=0) as limit:

        async def inner(task: ActiveTask) -> None:
            await limit(active_task("t", b'{"tenant":"b"}'), _nothing)
            with pytest.raises(RetryLater, match="over the limit 'gpu' of 1 at once"):
                await limit(active_task("t", b'{"tenant":"a"}'), _nothing)

        await limit(active_task("t", b'{"tenant":"a"}'), inner)


async def test_a_function_that_tells_no_key_leaves_a_task_unlimited(redis_url: str) -> None:
    async with ConcurrencyLimit(redis_url, 1, name="gpu", key=lambda task: None, patience=0) as limit:

        async def inner(task: ActiveTask) -> None:
            await limit(active_task(), _nothing)

        await limit(active_task(), inner)


# -- holds --------------------------------------------------------------------------------------------------


async def test_a_hold_is_renewed_as_long_as_its_process_lives(redis_url: str, redis: Redis) -> None:
    async with ConcurrencyLimit(redis_url, 1, name="gpu", lease=4) as limit:
        hold = await limit.try_acquire()
        assert hold

        async def end_of_lease() -> float:
            (hold,) = await redis.zrange(KEYS.holds, 0, -1, withscores=True)
            return float(hold[1]) / 1_000_000

        first = await end_of_lease()
        await eventually(end_of_lease, lambda end: end > first + 4)  # it outlived its first lease
        hold.release()
        assert await limit.try_acquire()


async def test_the_place_of_a_process_that_died_is_free_when_its_lease_ends(
    redis_url: str, clock: ManualClock
) -> None:
    async with ConcurrencyLimit(redis_url, 1, name="gpu", clock=clock) as dies:
        assert await dies.try_acquire()
        async with ConcurrencyLimit(redis_url, 1, name="gpu", clock=clock) as other:
            clock.advance(29.9)
            assert await other.try_acquire() is None
            clock.advance(0.1)
            assert await other.try_acquire()


DIES = """
import asyncio, sys
from asynq_py import ConcurrencyLimit

async def main():
    limit = ConcurrencyLimit(sys.argv[1], 1, name="gpu", lease=5)
    async with limit.place():
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_process_that_is_killed_frees_its_place(redis_url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIES, redis_url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"held\n"
        async with ConcurrencyLimit(redis_url, 1, name="gpu", lease=5) as limit:
            assert await limit.try_acquire() is None
            process.send_signal(signal.SIGKILL)
            async with limit.place(timeout=40):
                assert await limit.try_acquire() is None
    finally:
        if process.returncode is None:
            await process.wait()


async def test_a_hold_may_be_released_twice(redis_url: str) -> None:
    async with ConcurrencyLimit(redis_url, 1, name="gpu") as limit:
        first = await limit.try_acquire()
        assert isinstance(first, Hold)
        async with first:
            assert await limit.try_acquire() is None
        second = await limit.try_acquire()
        first.release()
        assert second
        assert await limit.try_acquire() is None


async def test_closing_gives_back_what_is_held(redis_url: str, redis: Redis) -> None:
    limit = ConcurrencyLimit(redis_url, 2, name="gpu")
    assert await limit.try_acquire()
    assert await limit.try_acquire()
    await limit.aclose()
    await limit.aclose()
    assert await redis.exists(KEYS.holds) == 0


async def test_one_may_wait_for_a_place_in_line(redis_url: str) -> None:
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        async with limit.place(timeout=30):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    async with ConcurrencyLimit(redis_url, 2, name="gpu") as limit:
        await asyncio.gather(*(work() for _ in range(6)))
    assert most <= 2


async def test_who_gives_up_waiting_leaves_the_line_and_no_place_behind(redis_url: str, redis: Redis) -> None:
    async with ConcurrencyLimit(redis_url, 1, name="gpu") as limit:
        hold = await limit.try_acquire()
        assert hold
        with pytest.raises(TimeoutError):
            async with limit.place(timeout=0.05):
                pytest.fail("let in")
        hold.release()
    assert list(await spans(redis)) == [KEYS.pace]


async def test_a_place_whose_answer_was_lost_is_given_back(proxy: Proxy) -> None:
    async with ConcurrencyLimit(proxy.url, 1, name="gpu", patience=0) as limit:
        hold = await limit.try_acquire()  # makes the script known
        assert hold
        hold.release()
        assert await limit.try_acquire("other")  # the release has arrived
        proxy.inject(Cut())
        with pytest.raises(BrokerUnavailableError):
            await limit.try_acquire()
        await limit(active_task(), _nothing)


async def test_all_that_limits_store_passes_by_itself(redis_url: str, redis: Redis) -> None:
    async with ConcurrencyLimit(redis_url, 1, name="gpu", patience=0) as limit:
        hold = await limit.try_acquire()
        assert hold
        with pytest.raises(RetryLater):
            await limit(active_task(), _nothing)
        kept = await spans(redis)
        assert set(kept) == {KEYS.holds, f"{KEYS.holds}:line"}
        assert all(0 < seconds <= 86400 + 90 for seconds in kept.values())


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "2", None, 10_001])
def test_a_size_is_checked(size: int) -> None:
    with pytest.raises(InvalidOptionError, match="size="):
        ConcurrencyLimit("redis://nowhere", size, name="gpu")


def test_a_lease_is_checked() -> None:
    with pytest.raises(InvalidOptionError, match="lease="):
        ConcurrencyLimit("redis://nowhere", 1, name="gpu", lease=0.5)
