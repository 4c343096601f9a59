"""Handlers that leave asyncio tasks behind are told, where that is asked for. F39."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, InvalidOptionError, Server, Task
from tests.books import Books, books_become

left: list[asyncio.Task[None]] = []


async def lingering() -> None:
    await asyncio.get_running_loop().create_future()


async def parent() -> None:
    left.append(asyncio.create_task(lingering()))


async def careless(task: ActiveTask) -> None:
    match task.type:
        case "one":
            left.append(asyncio.create_task(lingering()))
        case "grandchild":
            await asyncio.create_task(parent())
        case "fails":
            left.append(asyncio.create_task(lingering()))
            raise ValueError("and leaves something behind")
        case "tidy":
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
            asyncio.create_task(lingering()).cancel()
        case _:
            pass


@pytest.fixture(autouse=True)
def _fresh() -> None:
    left.clear()


async def _run(url: str, redis: Redis, client: Client, types: list[str], **options: Any) -> None:
    before = asyncio.get_running_loop().get_task_factory()
    await client.enqueue_many([Task(name, task_id=name, max_retry=0) for name in types])
    async with Server(url, careless, **options):
        archived = {name for name in types if name == "fails"}
        await books_become(redis, Books(processed=len(types), failed=len(archived), archived=archived))
    assert asyncio.get_running_loop().get_task_factory() is before
    assert not any(task.done() for task in left)
    for task in left:
        task.cancel()
    await asyncio.wait(left)


async def test_who_leaves_asyncio_tasks_behind_is_told_with_what_and_where(
    redis_url: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await _run(redis_url, redis, client, ["one", "grandchild", "fails", "tidy"], report_leaks=True)

    told = sorted(record.getMessage() for record in caplog.records if "behind" in record.getMessage())
    told = [line for line in told if "asyncio tasks" in line]
    assert [line.split()[1] for line in told] == ["fails", "grandchild", "one"]
    assert all("left 1 asyncio tasks behind: lingering at " in line and __file__ in line for line in told)


async def test_unless_it_is_asked_for_nothing_is_looked_for(
    redis_url: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await _run(redis_url, redis, client, ["one"])
    assert "asyncio tasks behind" not in caplog.text


async def test_a_factory_of_tasks_that_was_there_still_makes_them(
    redis_url: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[threading.Thread] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(threading.current_thread())
        return asyncio.Task(coro, loop=loop, **options)

    asyncio.get_running_loop().set_task_factory(factory)
    try:
        await _run(redis_url, redis, client, ["one"], report_leaks=True)
    finally:
        asyncio.get_running_loop().set_task_factory(None)
    assert made
    assert "left 1 asyncio tasks behind: lingering" in caplog.text


def test_what_is_no_yes_or_no_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="report_leaks"):
        Server("redis://nowhere", careless, report_leaks=1)  # type: ignore[arg-type]
