"""What is too much to be stored is refused where it is made, with what is allowed. F9, F42."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    App,
    Client,
    EnqueueError,
    InvalidOptionError,
    Scheduler,
    Server,
    Task,
    TaskInfo,
)
from asynq_py.wire import limits
from tests.books import Books, books, books_become, message
from tests.eventually import eventually
from tests.state import dump

MOST = {f"h{n:02}": "" for n in range(limits.HEADERS)}
LARGEST = {"h": "é" * ((limits.HEADERS_LIMIT - 1) // 2), "": "x"}  # its bytes count, not its characters


@pytest.mark.parametrize("headers", [MOST, LARGEST], ids=["many", "large"])
async def test_headers_up_to_the_limit_are_stored(
    redis: Redis, client: Client, headers: dict[str, str]
) -> None:
    await client.enqueue(Task("t", headers=headers, task_id="a"))
    assert (await message(redis, "a")).headers == headers


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (MOST | {"more": ""}, r"headers='65 of them' is not allowed: at most 64$"),
        (LARGEST | {"h": LARGEST["h"] + "x"}, r"headers='65537 bytes' is not allowed: at most 65536 bytes"),
    ],
    ids=["too many", "too large"],
)
async def test_headers_over_the_limit_are_refused_and_nothing_is_sent(
    redis: Redis, client: Client, headers: dict[str, str], said: str
) -> None:
    """F9. Of many tasks the others are stored; a scheduler refuses such a task when it is registered."""
    task = Task("t", headers=headers)
    with pytest.raises(InvalidOptionError, match=said):
        await client.enqueue(task)
    with pytest.raises(InvalidOptionError, match=said):
        Scheduler("redis://nowhere").register("@daily", task)
    assert await dump(redis) == {}

    refused, stored = await client.enqueue_many([task, Task("t", task_id="good")])
    assert isinstance(refused, EnqueueError)
    assert isinstance(refused.__cause__, InvalidOptionError)
    assert isinstance(stored, TaskInfo)
    assert await books(redis) == Books(pending=("good",))


async def test_a_task_that_is_stored_with_more_headers_runs(
    redis_url: str, redis: Redis, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F9: a producer in Go knows no limit."""
    headers = MOST | {"more": ""}
    with monkeypatch.context() as patched:
        patched.setattr(limits, "HEADERS", 65)
        await client.enqueue(Task("t", headers=headers))
    seen: list[object] = []
    async with Server(redis_url, lambda task: seen.append(task.headers)):
        await books_become(redis, Books(processed=1))
    assert seen == [headers]


async def test_a_result_over_the_limit_is_refused_and_the_one_before_it_stays(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F42: the handler is told; what it does not catch fails the try, which says why."""

    async def handler(task: ActiveTask) -> None:
        await task.write_result(b"12345")
        await task.write_result(b"123456")

    await client.enqueue(Task("t", task_id="a", retention=60))
    async with Server(redis_url, handler, result_limit=5, retry_delay=lambda n, error, task: 3600.0):
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))
    assert await redis.hget("asynq:{default}:t:a", "result") == b"12345"
    said = "InvalidOptionError: result='6 bytes' is not allowed: at most 5 bytes (Server's result_limit)"
    assert (await message(redis, "a")).error_msg == said


async def test_without_another_word_a_result_is_one_mebibyte_at_most(
    redis_url: str, redis: Redis, client: Client
) -> None:
    refused: list[InvalidOptionError] = []

    async def handler(task: ActiveTask) -> None:
        await task.write_result(bytes(1 << 20))
        try:
            await task.write_result(bytes((1 << 20) + 1))
        except InvalidOptionError as error:
            refused.append(error)

    await client.enqueue(Task("t", task_id="a", retention=60))
    async with Server(redis_url, handler):
        await books_become(redis, Books(completed={"a"}, processed=1))
    assert await redis.hstrlen("asynq:{default}:t:a", "result") == 1 << 20
    assert len(refused) == 1


async def test_the_value_of_a_typed_task_that_is_too_large_archives_it_and_says_so(redis_url: str) -> None:
    """F42: its work is done, and would be done again by each retry."""
    app = App(redis_url)

    @app.task
    async def large() -> str:
        return "12345"  # seven bytes of JSON

    async with app, app.server(result_limit=6):
        handle = await large.options(retention=60).enqueue()
        kept = await eventually(handle.info, lambda info: info.state not in ("pending", "active"))
    assert kept.state == "archived"
    assert kept.last_error == (
        "the result does not fit: result='7 bytes' is not allowed: at most 6 bytes (Server's result_limit)"
    )
    assert kept.result in (None, b"")


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "x", None])
def test_a_limit_of_results_that_makes_no_sense_is_refused(limit: object) -> None:
    with pytest.raises(InvalidOptionError, match="result_limit"):
        Server("redis://nowhere", lambda task: None, result_limit=limit)  # type: ignore[arg-type]
