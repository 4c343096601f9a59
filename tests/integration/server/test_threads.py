"""Plain functions as handlers: each runs in a thread of the server. F41."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    CancelReason,
    Client,
    Inspector,
    ServeMux,
    Server,
    SkipRetry,
    Task,
    current_task,
)
from tests.books import Books, books, books_become, message
from tests.integration.server.conftest import WorkUntil

PATIENCE = 20.0


async def test_a_plain_function_runs_in_a_thread_of_its_own(client: Client, work_until: WorkUntil) -> None:
    seen: list[tuple[bool, str, bytes]] = []

    def handler(task: ActiveTask) -> None:
        in_main_thread = threading.current_thread() is threading.main_thread()
        seen.append((in_main_thread, current_task().id, task.payload))

    await client.enqueue(Task("t", b"x", task_id="a"))
    await work_until(Books(processed=1), handler)

    assert seen == [(False, "a", b"x")]


@pytest.mark.parametrize(
    ("error", "wanted", "text"),
    [
        (ValueError("x"), Books(retry={"a"}, processed=1, failed=1), "ValueError: x"),
        (SkipRetry("x"), Books(archived={"a"}, processed=1, failed=1), "x"),
        (SystemExit(1), Books(retry={"a"}, processed=1, failed=1), "SystemExit: 1"),
        (
            StopIteration(),
            Books(retry={"a"}, processed=1, failed=1),
            "RuntimeError: the function raised StopIteration: ",
        ),
    ],
)
async def test_what_a_plain_function_raises_counts_as_from_a_coroutine_function(
    redis: Redis, client: Client, work_until: WorkUntil, error: BaseException, wanted: Books, text: str
) -> None:
    def handler(task: ActiveTask) -> None:
        raise error

    await client.enqueue(Task("t", task_id="a"))
    await work_until(wanted, handler)

    assert (await message(redis, "a")).error_msg == text


async def test_no_more_threads_run_than_allowed(redis_url: str, redis: Redis, client: Client) -> None:
    may_end, two_run = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    lock = threading.Lock()
    running = most = 0

    def handler(task: ActiveTask) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 2:
                loop.call_soon_threadsafe(two_run.set)
        may_end.wait(PATIENCE)
        with lock:
            running -= 1

    await client.enqueue_many([Task("t", task_id=str(n)) for n in range(8)])
    async with Server(redis_url, handler, concurrency=8, thread_limit=2), asyncio.timeout(PATIENCE):
        await two_run.wait()
        await redis.ping()
        assert running == 2
        may_end.set()
        await books_become(redis, Books(processed=8))
    assert most == 2


async def test_threads_are_reused(client: Client, work_until: WorkUntil) -> None:
    threads: set[int] = set()

    def handler(task: ActiveTask) -> None:
        threads.add(threading.get_ident())

    await client.enqueue_many([Task("t")] * 30)
    await work_until(Books(processed=30), handler, concurrency=30, thread_limit=3)
    assert len(threads) <= 3


async def test_a_plain_function_sees_the_context_variables_of_its_middleware_and_leaves_none_behind(
    client: Client, work_until: WorkUntil
) -> None:
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    seen: list[str] = []
    mux = ServeMux()

    @mux.handler("named:")
    @mux.handler("plain")
    def handler(task: ActiveTask) -> None:
        seen.append(request.get())
        request.set("left behind")

    async def name(task: ActiveTask, call_next: Callable[[ActiveTask], Awaitable[object]]) -> None:
        if task.type != "plain":
            request.set(task.type)
        await call_next(task)

    mux.use(name)
    for n, kind in enumerate(["named:1", "plain", "named:2"], start=1):
        await client.enqueue(Task(kind))
        await work_until(Books(processed=n), mux, thread_limit=1)
    assert seen == ["named:1", "none", "named:2"]


async def test_a_plain_function_may_look_at_why_it_is_cancelled_and_its_own_end_counts(
    redis_url: str,
    redis: Redis,
    client: Client,
    inspector: Inspector,
    subscribed: Callable[[], Awaitable[object]],
) -> None:
    started, loop = asyncio.Event(), asyncio.get_running_loop()
    reasons: list[CancelReason | None] = []

    def handler(task: ActiveTask) -> None:
        loop.call_soon_threadsafe(started.set)
        pause = threading.Event()
        while task.cancel_reason is None:
            pause.wait(0.01)
        reasons.append(task.cancel_reason)
        if task.type == "gives up":
            raise InterruptedError("gave up")

    await client.enqueue(Task("gives up", task_id="a"))
    await client.enqueue(Task("ends well", task_id="b"))
    async with Server(redis_url, handler, concurrency=1), asyncio.timeout(PATIENCE):
        await subscribed()
        for task_id in "ab":
            await started.wait()
            started.clear()
            await inspector.cancel_processing(task_id)
        await books_become(redis, Books(retry={"a"}, processed=2, failed=1))
    assert reasons == [CancelReason.CANCELLED, CancelReason.CANCELLED]
    assert (await message(redis, "a")).error_msg == "InterruptedError: gave up"


async def test_a_thread_that_ends_within_the_shutdown_timeout_is_waited_for(
    redis_url: str, redis: Redis, client: Client
) -> None:
    started, may_end, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def handler(task: ActiveTask) -> None:
        loop.call_soon_threadsafe(started.set)
        may_end.wait(PATIENCE)

    await client.enqueue(Task("t"))
    async with Server(redis_url, handler), asyncio.timeout(PATIENCE):
        await started.wait()
        loop.call_soon(may_end.set)
    assert await books(redis) == Books(processed=1)


async def test_the_task_of_a_thread_that_still_runs_at_the_end_is_left_to_its_lease(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """Handed back, it would run twice at the same time. F18."""
    started, may_end, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def handler(task: ActiveTask) -> None:
        loop.call_soon_threadsafe(started.set)
        may_end.wait(PATIENCE)

    await client.enqueue(Task("t", task_id="a"))
    async with (
        Server(redis_url, handler, shutdown_timeout=0, cancel_grace=0.1),
        asyncio.timeout(PATIENCE),
    ):
        await started.wait()
    may_end.set()
    assert await books(redis) == Books(active=("a",))


def test_a_thread_that_never_ends_does_not_keep_the_process(redis_url: str) -> None:
    program = """
        import asyncio, sys, threading
        from asynq_py import Client, Server, Task

        async def main(url):
            loop, started = asyncio.get_running_loop(), asyncio.Event()

            def handler(task):
                loop.call_soon_threadsafe(started.set)
                threading.Event().wait()

            async with Client(url) as client:
                await client.enqueue(Task("t"))
            async with Server(url, handler, shutdown_timeout=0, cancel_grace=0.1):
                await started.wait()

        asyncio.run(main(sys.argv[1]))
        print("ended")
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), redis_url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr
