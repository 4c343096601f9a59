"""Outcomes are written once Redis lets us, for as long as the lease lasts. Behaviour 11.2."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, RetryLater, Server, ServerOptions, SkipRetry, Task
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.proxy import Cut, Fault, Lose, Proxy

KEYS = QueueKeys("default")

# nothing but fetching and writing calls scripts, so that a fault strikes just these
QUIET: ServerOptions = {
    "concurrency": 1,
    "forward_interval": 600,
    "recover_interval": 600,
    "janitor_interval": 600,
}


@pytest.mark.parametrize("fault", [Lose, Cut])
@pytest.mark.parametrize("times", [1, 3])
async def test_an_outcome_whose_writing_failed_is_written_again_and_counts_once(
    proxy: Proxy, redis: Redis, client: Client, fault: Callable[[], Fault], times: int
) -> None:
    """Whether it was the request that got lost or only the answer."""
    ran: Counter[str] = Counter()
    struck = fault()

    async def handler(task: ActiveTask) -> None:
        ran[task.id] += 1
        if task.id == "a":
            proxy.inject(struck, times=times)

    async with Server(proxy.url, handler, **QUIET), asyncio.timeout(30):
        await client.enqueue_many([Task("t"), Task("t")])
        await books_become(redis, Books(processed=2))
        await client.enqueue_many([Task("t", task_id="a"), Task("t", task_id="b")])
        await books_become(redis, Books(processed=4))
    assert struck.happened.is_set()
    assert (ran["a"], ran["b"]) == (1, 1)


async def test_an_outcome_is_given_up_when_the_lease_has_ended_meanwhile(
    proxy: Proxy, redis: Redis, client: Client, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(task: ActiveTask) -> None:
        proxy.is_refusing = True
        proxy.cut_all()
        clock.advance(60)

    async def given_up() -> bool:
        return "is given up: its lease has ended" in caplog.text

    await client.enqueue(Task("t", task_id="a"))
    async with Server(proxy.url, handler, clock=clock, recover_interval=600):
        await eventually(given_up)
        proxy.is_refusing = False
    assert await books(redis) == Books(active=("a",))


async def test_an_outcome_that_redis_refuses_harms_no_other(
    redis_url: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    all_run, may_end = asyncio.Barrier(4), asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        await all_run.wait()
        await may_end.wait()

    async def is_refused() -> bool:
        return "cannot be written: Redis refused" in caplog.text

    await client.enqueue_many([Task("t", retention=60), Task("t", retention=60), Task("t")])
    await redis.set(KEYS.completed, "text")  # where the first two are to go
    async with Server(redis_url, handler), asyncio.timeout(20):
        await all_run.wait()
        may_end.set()
        await eventually(is_refused)
        await eventually(lambda: redis.get(KEYS.processed), lambda count: count == b"1")


async def test_the_last_outcomes_are_written_when_redis_comes_back_during_shutdown(
    proxy: Proxy, redis: Redis, client: Client
) -> None:
    started = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            proxy.is_refusing = True
            proxy.cut_all()
            asyncio.get_running_loop().call_later(0.3, _accept_again)

    def _accept_again() -> None:
        proxy.is_refusing = False

    await client.enqueue(Task("t", task_id="a"))
    # the grace is that of Redis as well, and long, lest a slow machine use it up
    async with Server(proxy.url, handler, shutdown_timeout=0, cancel_grace=40), asyncio.timeout(50):
        await started.wait()
    assert await books(redis) == Books(pending=("a",))


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ValueError(), Books(retry={"a"}, processed=1, failed=1)),
        (RetryLater(60), Books(retry={"a"})),
        (SkipRetry(), Books(archived={"a"}, processed=1, failed=1)),
    ],
)
async def test_failures_are_written_again_and_counted_once_as_well(
    proxy: Proxy, redis: Redis, client: Client, error: Exception, wanted: Books
) -> None:
    async def handler(task: ActiveTask) -> None:
        if task.id == "a":
            proxy.inject(Cut())
            raise error

    async with Server(proxy.url, handler, **QUIET):
        await client.enqueue(Task("t", task_id="a"))
        await books_become(redis, wanted)
    assert await books(redis) == wanted


MAYBE = ("INFO", "had been written already, or the task is no longer ours")
LOST = ("WARNING", "was not written: the task is no longer ours")


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        pytest.param([Cut()], MAYBE, id="answer lost"),
        pytest.param([Cut(), Lose()], MAYBE, id="answer lost, then the request"),
        pytest.param([], LOST, id="taken away"),
    ],
)
async def test_an_outcome_that_may_have_been_written_before_is_not_told_as_lost(
    proxy: Proxy,
    redis: Redis,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    faults: list[Fault],
    said: tuple[str, str],
) -> None:
    async def handler(task: ActiveTask) -> None:
        if task.id != "a":
            return
        server.stop()  # the next script is the one that writes the outcome
        for fault in faults:
            proxy.inject(fault)
        if not faults:
            await redis.zrem(KEYS.lease, task.id)

    async def told() -> list[tuple[str, str]]:
        return [
            (record.levelname, record.getMessage().partition(" in 'default' ")[2])
            for record in caplog.records
            if record.name == "asynq_py.server.syncer"
        ]

    caplog.set_level("INFO")
    server = Server(proxy.url, handler, **QUIET)
    async with server:
        await client.enqueue(Task("t"))
        await books_become(redis, Books(processed=1))  # Redis knows the scripts now
        await client.enqueue(Task("t", task_id="a"))
        assert await eventually(told) == [said]
