"""Go's semaphore as Python handlers use it. Behaviour 15.4."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    AsynqError,
    BrokerUnavailableError,
    Client,
    InvalidOptionError,
    RetryLater,
    Semaphore,
    Server,
    Task,
)
from asynq_py.active_task import set_current_task
from asynq_py.wire.messages import TaskMessage
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.proxy import Proxy
from tests.state import NOW
from tests.unit.tries import Try

KEY = "asynq:sema:mail"


def become(task_id: str, *, deadline: float = NOW + 10) -> None:
    """Stand where that task is handled."""
    attempt = Try()
    attempt.deadline = deadline
    set_current_task(ActiveTask(TaskMessage(type="t", id=task_id, queue="q"), attempt))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


async def test_a_token_belongs_to_the_task_and_lasts_to_its_deadline(
    redis_url: str, redis: Redis, clock: ManualClock
) -> None:
    async with Semaphore(redis_url, "mail", 1, clock=clock) as semaphore:
        become("a", deadline=NOW + 10.7)
        assert await semaphore.acquire()
        assert await redis.zrange(KEY, 0, -1, withscores=True) == [(b"a", NOW + 10)]
        become("b")
        assert not await semaphore.acquire()
        clock.advance(11)
        assert await semaphore.acquire()


async def test_a_released_token_is_free_for_others(redis_url: str, clock: ManualClock) -> None:
    async with Semaphore(redis_url, "mail", 1, clock=clock) as semaphore:
        become("a")
        assert await semaphore.acquire()
        await semaphore.release()
        become("b")
        assert await semaphore.acquire()


async def test_closing_closes_what_it_opened_and_may_be_repeated(
    one_server: str, redis: Redis, clock: ManualClock
) -> None:
    async def connections() -> list[str]:
        names = [entry["name"] for entry in await redis.client_list()]
        return [name for name in names if "semaphore" in name]

    semaphore = Semaphore(one_server, "mail", 1, clock=clock)
    become("a")
    await semaphore.acquire()
    assert len(await connections()) == 1

    await semaphore.aclose()
    await semaphore.aclose()

    await eventually(connections, lambda left: not left)


async def test_releasing_what_one_does_not_hold_is_an_error_that_says_so(
    redis_url: str, clock: ManualClock
) -> None:
    async with Semaphore(redis_url, "mail", 1, clock=clock) as semaphore:
        become("a")
        await semaphore.acquire()
        become("b")
        with pytest.raises(AsynqError, match="task 'b' holds no token of the semaphore 'mail'"):
            await semaphore.release()


async def test_outside_of_a_handler_there_is_no_task_to_hold_a_token(redis_url: str) -> None:
    async with Semaphore(redis_url, "mail", 1) as semaphore:
        with pytest.raises(AsynqError, match="no task is being handled here"):
            await semaphore.acquire()
        with pytest.raises(AsynqError, match="no task is being handled here"):
            await semaphore.release()


async def test_scopes_are_apart(redis_url: str, clock: ManualClock) -> None:
    async with (
        Semaphore(redis_url, "mail", 1, clock=clock) as mail,
        Semaphore(redis_url, "other", 1, clock=clock) as other,
    ):
        become("a")
        assert await mail.acquire()
        become("b")
        assert await other.acquire()


async def test_a_block_holds_a_token_and_gives_it_back_however_it_ends(
    redis_url: str, redis: Redis, clock: ManualClock
) -> None:
    async def fails() -> None:
        async with semaphore.token():
            assert await redis.zrange(KEY, 0, -1) == [b"a"]
            raise KeyError("boom")

    async with Semaphore(redis_url, "mail", 1, clock=clock) as semaphore:
        become("a")
        with pytest.raises(KeyError):
            await fails()
        assert await redis.exists(KEY) == 0


async def test_a_block_that_gets_no_token_puts_its_task_off(redis_url: str, clock: ManualClock) -> None:
    async with Semaphore(redis_url, "mail", 1, clock=clock) as semaphore:
        become("a")
        await semaphore.acquire()
        become("b")
        for _ in range(20):
            with pytest.raises(RetryLater, match="semaphore 'mail'") as raised:
                await semaphore.token(retry_in=10).__aenter__()
            assert 8 <= raised.value.delay <= 12


async def test_tasks_that_wait_for_a_token_run_one_after_the_other_and_none_fails(
    redis_url: str, redis: Redis, client: Client
) -> None:
    let_end = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        async with semaphore.token(retry_in=0):
            await let_end.wait()

    async with (
        Semaphore(redis_url, "mail", 1) as semaphore,
        Server(redis_url, handler, concurrency=2, forward_interval=0.1),
    ):
        await client.enqueue(Task("t", task_id="a"), max_retry=0)
        await eventually(lambda: redis.zcard(KEY))
        await client.enqueue(Task("t", task_id="b"), max_retry=0)
        await eventually(lambda: books(redis), lambda seen: seen.retry == {"b"})
        let_end.set()
        await books_become(redis, Books(processed=2))


async def test_a_token_that_cannot_be_released_does_not_fail_the_task(proxy: Proxy) -> None:
    async with Semaphore(proxy.url, "mail", 1) as semaphore:
        become("a")
        async with semaphore.token():
            proxy.is_refusing = True
            proxy.cut_all()


async def test_while_redis_is_away_nobody_knows(proxy: Proxy) -> None:
    proxy.is_refusing = True
    async with Semaphore(proxy.url, "mail", 1) as semaphore:
        become("a")
        with pytest.raises(BrokerUnavailableError):
            await semaphore.acquire()


@pytest.mark.parametrize("tokens", [0, -1, 1.5, True, "2", None])
def test_the_number_of_tokens_is_checked(tokens: int) -> None:
    with pytest.raises(InvalidOptionError, match="max_tokens="):
        Semaphore("redis://nowhere", "mail", tokens)


@pytest.mark.parametrize("scope", ["", " ", None])
def test_the_scope_is_checked(scope: str) -> None:
    with pytest.raises(InvalidOptionError, match="scope="):
        Semaphore("redis://nowhere", scope, 1)
