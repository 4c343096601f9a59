"""Processes that stand still for a while, and then go on: a worker, or Redis. F23, F25, F56."""

from __future__ import annotations

import asyncio
import fcntl
import signal
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become
from tests.end_to_end.processes import Option, Workers
from tests.eventually import eventually
from tests.lasting_server import LastingServer

KEYS = QueueKeys("default")
QUICK: dict[str, Option] = {"lease": 6, "recover_interval": 0.1, "concurrency": 1}


@pytest.mark.timeout(120)
async def test_a_worker_that_stood_still_for_longer_than_its_lease_ends_nothing_that_is_anothers(
    workers: Workers, redis: Redis, client: Client, tmp_path: Path
) -> None:
    """F23: both are running the task when the first one goes on; each of its ends is told once."""
    go = tmp_path / "go"
    await client.enqueue(Task("wait for file", str(go), task_id="a"))
    first = await workers.start(**QUICK)
    await eventually(lambda: workers.noted("started"))
    first.send_signal(signal.SIGSTOP)
    try:
        await workers.start(**QUICK)
        await eventually(lambda: workers.noted("started"), lambda started: started["a"] == 2, within=60)
    finally:
        first.send_signal(signal.SIGCONT)
    # it is done with the task, its own end of it, when it works again
    await client.enqueue(Task("work", "0", task_id="b"))
    await books_become(redis, Books(active=("a",), processed=1))
    go.touch()
    await books_become(redis, Books(processed=2))
    assert (await workers.noted("ended"))["b"] == 1
    assert await redis.get("asynq:{default}:failed") is None


@pytest.mark.timeout(120)
async def test_a_worker_whose_interpreter_was_held_for_longer_than_its_lease_ends_nothing_that_is_anothers(
    workers: Workers, redis: Redis, client: Client, tmp_path: Path
) -> None:
    """F25: no thread of it runs meanwhile, so its lease ends, and the task is another's."""
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        await client.enqueue(Task("hold the interpreter", lock.name, task_id="a"))
        await workers.start(**QUICK)
        await eventually(lambda: workers.noted("started"))
        await workers.start(**QUICK)
        await books_become(redis, Books(processed=1), within=60)
        assert await workers.noted("ended") == {"a": 1}
    await eventually(lambda: workers.noted("ended"), lambda ended: ended["a"] == 2, within=60)
    await client.enqueue_many([Task("work", "0", task_id=str(n)) for n in range(5)])
    await books_become(redis, Books(processed=6))
    assert await workers.noted("started") == {"a": 2} | {str(n): 1 for n in range(5)}


@pytest.fixture
def lasting(server_kind: str, redis_url: str, tmp_path: Path) -> Generator[LastingServer]:
    """(`redis_url` brings the choice of its kind.)"""
    if server_kind == "docker":
        pytest.skip("a container cannot be frozen from here")
    with LastingServer(server_kind, tmp_path) as lasting:
        lasting.start()
        yield lasting


@pytest.mark.timeout(120)
async def test_a_redis_that_stands_still_for_less_than_a_lease_costs_no_task_and_no_second_run(
    lasting: LastingServer,
) -> None:
    """F56."""
    runs, names = Counter[str](), [str(number) for number in range(300)]

    async def handler(task: ActiveTask) -> None:
        runs[task.id] += 1
        await asyncio.sleep(0.01)

    async with Redis.from_url(lasting.url) as redis, Client(lasting.url, timeout=30) as client:
        await client.enqueue_many([Task("t", task_id=name) for name in names])
        async with Server(lasting.url, handler, concurrency=5, lease=60):
            for freeze in range(1, 4):
                await eventually(lambda: books(redis), lambda seen, n=50 * freeze: seen.processed >= n)  # type: ignore[misc]
                with lasting.frozen():
                    await asyncio.sleep(0.5)  # any while will do: what is asked for meanwhile waits
            await books_become(redis, Books(processed=300))
    assert runs == Counter(names)


@pytest.mark.timeout(120)
async def test_a_redis_that_stands_still_for_longer_than_a_lease_ends_each_task_once(
    lasting: LastingServer,
) -> None:
    """F56, F26: handlers are cancelled when their leases end, and the tasks run again; each ends once."""
    lost = asyncio.Event()
    ended: Counter[str] = Counter()

    async def handler(task: ActiveTask) -> None:
        if not lost.is_set():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost.set()
                raise
        ended[task.id] += 1

    async with Redis.from_url(lasting.url) as redis, Client(lasting.url) as client:
        await client.enqueue_many([Task("t", task_id=name) for name in "abc"])
        async with Server(lasting.url, handler, concurrency=3, lease=6, recover_interval=0.1):
            await eventually(lambda: books(redis), lambda seen: len(seen.active) == 3)
            with lasting.frozen():
                await lost.wait()
            await books_become(redis, Books(processed=3), within=60)
    assert ended == Counter("abc")
