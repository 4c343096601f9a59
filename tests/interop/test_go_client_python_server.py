"""What a Go client enqueues is run by a Python server as it was meant."""

from __future__ import annotations

import time

import pytest
from redis.asyncio import Redis

from asynq_py import Client, DuplicateTaskError, Inspector, Task, TaskIDConflictError, TaskState
from tests.books import Books, books_become
from tests.interop.endings import ENDINGS, ID, REVOKED, Ending
from tests.interop.peer import STATES, GoError, GoOptions, GoPeer
from tests.interop.script import does, in_process

pytestmark = pytest.mark.timeout(60, func_only=True)


async def test_options_of_a_go_task_reach_the_python_handler(any_go: GoPeer, redis: Redis) -> None:
    deadline = int(time.time()) + 100
    payload = b"\x00 no script \xff"
    await any_go.enqueue(
        "mail:send", payload, queue="low", task_id="a", max_retry=7, timeout=3600, deadline=deadline
    )

    async with in_process(any_go.url, queues={"low": 1}) as python:
        started = await python.events.wait("start", "a")
        await python.events.wait("end", "a")

    assert (started.queue, started.type, started.payload) == ("low", "mail:send", payload)
    assert (started.retried, started.max_retry, started.deadline) == (0, 7, deadline)
    await books_become(redis, Books(processed=1), "low")


@pytest.mark.parametrize("payload", [None, b""], ids=["nil", "empty"])
async def test_a_go_task_without_payload_runs_in_python(any_go: GoPeer, payload: bytes | None) -> None:
    await any_go.enqueue("t", payload, task_id="a")

    async with in_process(any_go.url) as python:
        assert (await python.events.wait("start", "a")).payload == b""


async def test_headers_of_a_go_task_reach_the_python_handler(go: GoPeer) -> None:
    headers = {"trace": "00-ab", "": "empty key", "ключ": "значение"}
    await go.enqueue("t", None, task_id="a", headers=headers)

    async with in_process(go.url) as python:
        assert (await python.events.wait("start", "a")).headers == headers


@pytest.mark.parametrize("ending", [*ENDINGS, REVOKED], ids=str)
async def test_a_go_task_ends_in_python_as_it_would_in_go(go: GoPeer, redis: Redis, ending: Ending) -> None:
    await _enqueue(go, ending)

    async with in_process(go.url) as python:
        await python.events.wait("end", ID, times=ending.tries)
        await books_become(redis, ending.books)

    assert len(python.events.named("start", ID)) == ending.tries
    if ending.books.archived or ending.books.completed:
        info = await go.inspect("GetTaskInfo", "default", ID)
        assert STATES[info["State"]] == ("completed" if ending.books.completed else "archived")
        assert ending.error in info["LastErr"]
        assert (info["Result"] or None) == (ending.result and "NDI=")


async def _enqueue(go: GoPeer, ending: Ending) -> None:
    options: GoOptions = {"task_id": ID, "max_retry": ending.max_retry, "timeout": ending.timeout}
    if ending.retention:
        options["retention"] = ending.retention
    if ending.unique:
        options["unique"] = ending.unique
    await go.enqueue("t", ending.payload, **options)


async def test_a_deadline_set_by_go_ends_the_try_in_python(go: GoPeer, redis: Redis) -> None:
    deadline = int(time.time()) + 2
    await go.enqueue("t", does("wait"), task_id="a", max_retry=0, deadline=deadline)

    async with in_process(go.url) as python:
        assert (await python.events.wait("end", "a")).cause == "deadline"
        await books_become(redis, Books(archived={"a"}, processed=1, failed=1))


async def test_a_task_scheduled_by_go_runs_in_python_when_its_time_has_come(
    any_go: GoPeer, redis: Redis
) -> None:
    at = int(time.time()) + 2
    info = await any_go.enqueue("t", does("succeed"), task_id="a", process_at=at)
    assert STATES[info["State"]] == "scheduled"

    async with in_process(any_go.url) as python:
        await python.events.wait("start", "a")
        assert time.time() >= at
        await books_become(redis, Books(processed=1))


async def test_a_lock_taken_by_go_binds_python_until_python_has_done_the_task(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    payload = does("succeed")
    await any_go.enqueue("t", payload, task_id="a", unique=60)

    with pytest.raises(DuplicateTaskError):
        await client.enqueue(Task("t", payload), unique=60)
    with pytest.raises(GoError, match="task already exists"):
        await any_go.enqueue("t", payload, unique=60)

    async with in_process(any_go.url) as python:
        await python.events.wait("end", "a")
        await books_become(redis, Books(processed=1))
        await client.enqueue(Task("t", payload), task_id="b", unique=60)
        await python.events.wait("end", "b")


@pytest.mark.parametrize("payload", [None, b"", b"{}"], ids=["none", "empty", "some"])
async def test_both_languages_compute_the_same_lock(
    any_go: GoPeer, client: Client, payload: bytes | None
) -> None:
    await any_go.enqueue("t", payload, unique=60)

    with pytest.raises(DuplicateTaskError):
        await client.enqueue(Task("t", payload, unique=60))


async def test_an_id_used_by_go_is_taken_for_python(any_go: GoPeer, client: Client) -> None:
    await any_go.enqueue("t", None, task_id="a")

    with pytest.raises(TaskIDConflictError):
        await client.enqueue(Task("t"), task_id="a")


async def test_python_reads_what_go_enqueued_in_every_option(any_go: GoPeer) -> None:
    at, deadline = int(time.time()) + 1000, int(time.time()) + 2000
    await any_go.enqueue(
        "t",
        b"p",
        queue="q",
        task_id="a",
        max_retry=3,
        timeout=90,
        deadline=deadline,
        retention=600,
        process_at=at,
    )
    await any_go.enqueue("t", b"p", queue="q", task_id="b", group="g", unique=60)

    async with Inspector(any_go.url) as inspector:
        a, b = [await inspector.task_info("q", task_id) for task_id in "ab"]

    assert (a.state, a.type, a.payload, a.max_retry) == (TaskState.SCHEDULED, "t", b"p", 3)
    assert (a.timeout, a.retention, a.retried, a.last_error) == (90, 600, 0, None)
    assert a.deadline is not None
    assert a.next_process_at is not None
    assert (a.deadline.timestamp(), a.next_process_at.timestamp()) == (deadline, at)
    assert (b.state, b.group, b.max_retry, b.timeout) == (TaskState.AGGREGATING, "g", 25, 1800)
