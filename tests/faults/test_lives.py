"""Servers that come and go: in threads, again and again, told to end at any moment. F20, F22, F32."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.wire.messages import ServerInfo
from tests.books import Books, books, books_become
from tests.end_to_end.processes import Workers
from tests.eventually import eventually


async def test_a_server_works_in_a_thread_that_is_not_the_main_one_and_touches_no_signals(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F22: signals can only be had in the main thread; `serve` asks for none elsewhere."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP)]
    ran: list[str] = []
    server = Server(redis_url, lambda task: ran.append(task.id))
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    await client.enqueue(Task("t", task_id="a"))
    await books_become(redis, Books(processed=1))
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP)] == before
    asyncio.run_coroutine_threadsafe(server.shutdown(), loops[0])
    await asyncio.to_thread(thread.join)
    assert ran == ["a"]


async def test_servers_of_one_process_one_after_the_other_have_names_of_their_own_and_leave_nothing(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F32: host and process number are the same each time. What else they leave, tests/leaks.py sees."""
    names: set[str] = set()

    async def listed() -> list[bytes]:
        return [key async for key in redis.scan_iter("asynq:servers:*")]

    for number in range(1, 21):
        async with Server(redis_url, lambda task: None):
            await client.enqueue(Task("t"))
            await books_become(redis, Books(processed=number))
            (key,) = await eventually(listed)
            data = await redis.get(key)
            assert isinstance(data, bytes)
            names.add(ServerInfo.FromString(data).server_id)
        assert await redis.exists("asynq:servers", "asynq:workers") == 0
        assert await listed() == []
    assert len(names) == 20


async def test_a_server_that_is_ended_at_any_turn_of_its_beginning_takes_no_task_along(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F19, F20: some are ended before they fetch, some while they do, some after."""
    may_end = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        await may_end.wait()

    names = ("a", "b", "c")
    await client.enqueue_many([Task("t", task_id=name) for name in names])
    for turns in range(0, 120, 3):
        server = Server(redis_url, handler, concurrency=2, shutdown_timeout=0)
        await server.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.shutdown()
        assert await books(redis) == Books(pending=names)


@pytest.mark.timeout(180)
async def test_signals_at_any_moment_leave_nothing_active(
    workers: Workers, redis: Redis, client: Client
) -> None:
    """F20: one or two, some more milliseconds each time after a process has taken its first task."""
    names = tuple(str(number) for number in range(40))
    await client.enqueue_many([Task("work", "0.05", task_id=name) for name in names])
    for signals in (1, 2, 1, 2):
        seen = len(await workers.noted("started"))
        process = await workers.start(concurrency=3, shutdown_timeout=0.02)
        await eventually(lambda: workers.noted("started"), lambda now, seen=seen: len(now) > seen)  # type: ignore[misc]
        await asyncio.sleep(0.01 * signals)
        process.send_signal(signal.SIGSTOP)  # so that it gets them all, and not the last when it has ended
        for number in (signal.SIGTERM, signal.SIGINT)[:signals]:
            process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(process.wait(), 30) == 0
        left = await books(redis)
        assert (left.active, left.unleased) == ((), set())
    await workers.start(concurrency=10)
    await books_become(redis, Books(processed=len(names)))
    assert await workers.noted("ended") == dict.fromkeys(names, 1)
