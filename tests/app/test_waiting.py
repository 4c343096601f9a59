"""Who waits for a task is woken when it ends, and finds out even where nobody tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, AsynqError, Client, Inspector, Server, Task, TaskNotFoundError, TaskState
from asynq_py.app import waiting as module
from asynq_py.app.waiting import Waiting
from tests.eventually import eventually
from tests.proxy import Proxy
from tests.servers import master_url


async def answer(task: ActiveTask) -> None:
    await task.write_result(b"1")


@pytest.fixture
async def waiting(one_server: str, inspector: Inspector) -> AsyncGenerator[Waiting]:
    waiting = Waiting(inspector, one_server)
    yield waiting
    await waiting.aclose()


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks, and the next in an hour."""
    monkeypatch.setattr(module, "GROWTH", 1e9)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 3600.0)
    monkeypatch.setattr(module, "TOLD_PAUSE", 3600.0)


async def told(waiting: Waiting, count: int = 1) -> None:
    async def of() -> int:
        return waiting.told_of

    await eventually(of, lambda seen: seen == count)


@pytest.mark.usefixtures("rarely")
async def test_who_waits_is_woken_when_the_task_ends(
    one_server: str, client: Client, waiting: Waiting
) -> None:
    await client.enqueue(Task("t"), task_id="a", retention=60)
    await client.enqueue(Task("t"), task_id="b", retention=60)
    waits = [asyncio.create_task(waiting.ended("default", task_id)) for task_id in ("a", "b", "a")]
    await told(waiting, 2)

    async with Server(one_server, answer), asyncio.timeout(20):
        infos = await asyncio.gather(*waits)

    assert [(info.id, info.state, info.result) for info in infos] == [
        (task_id, TaskState.COMPLETED, b"1") for task_id in ("a", "b", "a")
    ]
    assert waiting.told_of == 0


@pytest.mark.usefixtures("rarely")
async def test_who_waits_is_woken_when_the_task_is_deleted(
    client: Client, inspector: Inspector, waiting: Waiting
) -> None:
    await client.enqueue(Task("t"), task_id="a", process_in=60)
    wait = asyncio.create_task(waiting.ended("default", "a"))
    await told(waiting)

    await inspector.delete_task("default", "a")

    async with asyncio.timeout(20):
        with pytest.raises(TaskNotFoundError):
            await wait


async def test_where_nobody_tells_tasks_are_looked_at(
    one_server: str, client: Client, redis: Redis, inspector: Inspector
) -> None:
    await redis.execute_command("ACL", "SETUSER", "default", "-client|tracking")  # type: ignore[no-untyped-call]
    try:
        waiting = Waiting(inspector, one_server)
        await client.enqueue(Task("t"), task_id="a", retention=60)
        wait = asyncio.create_task(waiting.ended("default", "a"))
        async with Server(one_server, answer), asyncio.timeout(20):
            assert (await wait).state is TaskState.COMPLETED
        await waiting.aclose()
    finally:
        await redis.execute_command("ACL", "SETUSER", "default", "+client|tracking")  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("rarely")
async def test_who_waits_is_woken_after_an_outage(
    one_server: str, client: Client, inspector: Inspector
) -> None:
    async with Proxy(master_url(one_server)) as proxy:
        waiting = Waiting(inspector, proxy.url)
        await client.enqueue(Task("t"), task_id="a", process_in=60)
        wait = asyncio.create_task(waiting.ended("default", "a"))
        await told(waiting)
        proxy.cut_all()
        await told(waiting, 0)
        await inspector.delete_task("default", "a")

        async with asyncio.timeout(20):
            with pytest.raises(TaskNotFoundError):
                await wait
        await waiting.aclose()


@pytest.mark.usefixtures("rarely")
async def test_who_waits_is_woken_when_all_keys_go(client: Client, redis: Redis, waiting: Waiting) -> None:
    await client.enqueue(Task("t"), task_id="a", process_in=60)
    wait = asyncio.create_task(waiting.ended("default", "a"))
    await told(waiting)

    await redis.flushall()

    async with asyncio.timeout(20):
        with pytest.raises(TaskNotFoundError):
            await wait


async def test_what_is_closed_waits_no_more(client: Client, waiting: Waiting) -> None:
    await client.enqueue(Task("t"), task_id="a", process_in=60)
    wait = asyncio.create_task(waiting.ended("default", "a"))
    await told(waiting)
    await waiting.aclose()
    with pytest.raises(AsynqError, match="closed meanwhile"):
        await wait
