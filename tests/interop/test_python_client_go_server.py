"""What a Python client enqueues is run by a Go server as it was meant."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from asynq_py import Client, DuplicateTaskError, Inspector, Task, TaskIDConflictError, TaskState
from tests.books import Books, books_become
from tests.interop.endings import ENDINGS, ID, REVOKED, Ending
from tests.interop.peer import GoError, GoPeer
from tests.interop.script import does

pytestmark = pytest.mark.timeout(60, func_only=True)


async def test_options_of_a_python_task_reach_the_go_handler(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    deadline = int(time.time()) + 100
    payload = b"\x00 no script \xff"
    await client.enqueue(
        Task("mail:send", payload),
        queue="low",
        task_id="a",
        max_retry=7,
        timeout=3600,
        deadline=datetime.fromtimestamp(deadline, UTC),
    )

    async with any_go.serve(queues={"low": 1}) as worker:
        started = await worker.events.wait("start", "a")
        await worker.events.wait("end", "a")

    assert (started.queue, started.type, started.payload) == ("low", "mail:send", payload)
    assert (started.retried, started.max_retry, started.deadline) == (0, 7, deadline)
    await books_become(redis, Books(processed=1), "low")


@pytest.mark.parametrize("payload", [None, b""], ids=["none", "empty"])
async def test_a_python_task_without_payload_runs_in_go(
    any_go: GoPeer, client: Client, payload: bytes | None
) -> None:
    await client.enqueue(Task("t", payload), task_id="a")

    async with any_go.serve() as worker:
        assert (await worker.events.wait("start", "a")).payload == b""


async def test_headers_of_a_python_task_reach_the_go_handler(go: GoPeer, client: Client) -> None:
    headers = {"trace": "00-ab", "": "empty key", "ключ": "значение"}
    await client.enqueue(Task("t", headers=headers), task_id="a")

    async with go.serve() as worker:
        assert (await worker.events.wait("start", "a")).headers == headers


@pytest.mark.parametrize("ending", [*ENDINGS, REVOKED], ids=str)
async def test_a_python_task_ends_in_go_as_it_would_in_python(
    go: GoPeer, client: Client, redis: Redis, ending: Ending
) -> None:
    await client.enqueue(
        Task("t", ending.payload),
        task_id=ID,
        max_retry=ending.max_retry,
        timeout=ending.timeout,
        retention=ending.retention,
        unique=ending.unique or None,
    )

    async with go.serve() as worker:
        await worker.events.wait("end", ID, times=ending.tries)
        await books_become(redis, ending.books)

    assert len(worker.events.named("start", ID)) == ending.tries
    if ending.books.archived or ending.books.completed:
        async with Inspector(go.url) as inspector:
            info = await inspector.task_info("default", ID)
        assert info.state is (TaskState.COMPLETED if ending.books.completed else TaskState.ARCHIVED)
        assert ending.error in (info.last_error or "")
        assert info.result == ending.result


async def test_a_deadline_set_by_python_ends_the_try_in_go(go: GoPeer, client: Client, redis: Redis) -> None:
    deadline = datetime.fromtimestamp(int(time.time()) + 2, UTC)
    await client.enqueue(Task("t", does("wait")), task_id="a", max_retry=0, deadline=deadline)

    async with go.serve() as worker:
        assert (await worker.events.wait("end", "a")).cause == "context deadline exceeded"
        await books_become(redis, Books(archived={"a"}, processed=1, failed=1))


async def test_a_task_scheduled_by_python_runs_in_go_when_its_time_has_come(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    at = int(time.time()) + 2
    info = await client.enqueue(
        Task("t", does("succeed")), task_id="a", process_at=datetime.fromtimestamp(at, UTC)
    )
    assert info.state is TaskState.SCHEDULED

    async with go.serve() as worker:
        await worker.events.wait("start", "a")
        assert time.time() >= at
        await books_become(redis, Books(processed=1))


async def test_a_lock_taken_by_python_binds_go_until_go_has_done_the_task(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    payload = does("succeed")
    await client.enqueue(Task("t", payload), task_id="a", unique=60)

    with pytest.raises(GoError, match="task already exists"):
        await go.enqueue("t", payload, unique=60)
    with pytest.raises(DuplicateTaskError):
        await client.enqueue(Task("t", payload), unique=60)

    async with go.serve() as worker:
        await worker.events.wait("end", "a")
        await books_become(redis, Books(processed=1))
        await client.enqueue(Task("t", payload), task_id="b", unique=60)
        await worker.events.wait("end", "b")


async def test_a_lock_is_free_for_python_when_the_one_of_a_scheduled_go_task_is(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    await any_go.enqueue("t", b"p", task_id="a", unique=60, process_in=600)
    with pytest.raises(DuplicateTaskError):
        await client.enqueue(Task("t", b"p"), unique=60)

    await any_go.inspect("DeleteTask", "default", "a")

    await client.enqueue(Task("t", b"p"), task_id="b", unique=60)
    await books_become(redis, Books(pending=("b",), locks=1))


async def test_an_id_used_by_python_is_taken_for_go(any_go: GoPeer, client: Client) -> None:
    await client.enqueue(Task("t"), task_id="a")

    with pytest.raises(GoError) as refused:
        await any_go.enqueue("t", None, task_id="a")
    assert refused.value.kind == "conflict"
    with pytest.raises(TaskIDConflictError):
        await client.enqueue(Task("t"), task_id="a")
