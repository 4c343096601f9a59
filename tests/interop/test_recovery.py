"""When a worker dies, one of the other language takes its tasks over. How time passes: see aging.py."""

from __future__ import annotations

import json
import sys

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task
from tests.books import Books, books, books_become, message
from tests.interop.aging import age_lease
from tests.interop.peer import GoPeer
from tests.interop.script import DEFAULTS, does, in_process
from tests.interop.worker import process

pytestmark = pytest.mark.timeout(60, func_only=True)

PYTHON = [sys.executable, "-m", "tests.interop.python_worker"]


async def test_go_takes_over_from_a_python_worker_that_was_killed(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t", does("wait")), task_id="a")
    async with process([*PYTHON, any_go.url, json.dumps(DEFAULTS)]) as python:
        await python.events.wait("start", "a")
        await python.kill()
    assert (await books(redis)).active == ("a",)
    await age_lease(redis, "a")

    async with any_go.serve() as worker:
        assert (await worker.events.wait("start", "a")).retried == 1  # for Go a lost worker is a failed try
        assert (await message(redis, "a")).error_msg == "asynq: task lease expired"
        await worker.release()
        await books_become(redis, Books(processed=2, failed=1))


async def test_python_takes_over_from_a_go_worker_that_was_killed(any_go: GoPeer, redis: Redis) -> None:
    await any_go.enqueue("t", does("wait"), task_id="a")
    async with any_go.serve() as worker:
        await worker.events.wait("start", "a")
        await worker.kill()
    assert (await books(redis)).active == ("a",)
    await age_lease(redis, "a")

    async with in_process(any_go.url) as python:
        assert (await python.events.wait("start", "a")).retried == 0  # for Python it is not
        await python.release()
        await books_become(redis, Books(processed=1))


async def test_a_lease_that_is_not_over_keeps_both_languages_off(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    await client.enqueue_many([Task("t", does("wait"), task_id="a"), Task("t", does("wait"), task_id="b")])
    async with (
        go.serve(concurrency=1) as first,
        in_process(go.url, concurrency=1) as second,
    ):
        await first.events.wait("start")
        await second.events.wait("start")
        async with go.serve() as third, in_process(go.url) as fourth:
            await client.enqueue_many([Task("t", does("wait"), task_id=f"more-{n}") for n in range(20)])
            await third.events.wait("start", times=10)  # both have looked at the leases as they started
            await fourth.events.wait("start", times=10)
            assert {"a", "b"} <= set((await books(redis)).active)
            for worker in (first, second, third, fourth):
                await worker.release()
            await books_become(redis, Books(processed=22))


async def test_a_task_without_retries_left_is_archived_by_go_and_run_once_more_by_python(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    # a lost worker: Go's recoverer counts it and finds no retry left, ours hands the task back
    await client.enqueue(Task("t", does("wait")), task_id="a", max_retry=0)
    async with go.serve() as worker:
        await worker.events.wait("start", "a")
        await worker.kill()
    await age_lease(redis, "a")
    async with in_process(go.url) as python:
        await python.events.wait("start", "a")
        await age_lease(redis, "a")
        async with go.serve():
            await books_become(redis, Books(archived={"a"}, processed=1, failed=1))
        await python.release()
        await python.events.wait("end", "a")
    # the Python worker learnt that the task is no longer its own: the archive stays as Go left it
    assert await books(redis) == Books(archived={"a"}, processed=1, failed=1)
    async with Inspector(go.url) as inspector:
        assert (await inspector.task_info("default", "a")).last_error == "asynq: task lease expired"


async def test_a_task_handed_back_at_shutdown_runs_next_in_the_other_language(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t", does("wait")), task_id="a")
    async with in_process(go.url, shutdown_timeout=0.0) as python:
        await python.events.wait("start", "a")
    assert (await python.events.wait("end", "a")).cause == "shutdown"
    await client.enqueue(Task("t", does("wait")), task_id="b")
    assert (await books(redis)).pending == ("a", "b")

    async with go.serve(shutdown_timeout=0.1, concurrency=1) as worker:
        assert (await worker.events.wait("start")).id == "a"
    assert (await books(redis)).pending == ("a", "b")

    async with in_process(go.url, concurrency=1) as python:
        assert (await python.events.wait("start")).id == "a"
        await python.release()
        await books_become(redis, Books(processed=2))
