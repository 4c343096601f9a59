"""Go's Inspector reads and steers what Python wrote; ours reads what Go wrote."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task, TaskState
from tests.books import Books, books_become
from tests.eventually import eventually
from tests.interop.peer import STATES, GoPeer
from tests.interop.script import does, in_process

pytestmark = pytest.mark.timeout(60, func_only=True)

LISTS = {
    "pending": "ListPendingTasks",
    "active": "ListActiveTasks",
    "scheduled": "ListScheduledTasks",
    "retry": "ListRetryTasks",
    "archived": "ListArchivedTasks",
    "completed": "ListCompletedTasks",
}
SECOND = 1_000_000_000  # Go's durations are nanoseconds


def _unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


async def test_go_lists_and_counts_the_tasks_of_python_in_every_state(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    async with in_process(any_go.url, retry_delay=3600) as python:
        await client.enqueue_many(
            [
                Task("t", does("wait"), task_id="active"),
                Task("t", does("result", text="42"), task_id="completed", retention=600),
                Task("t", does("fail", text="no luck"), task_id="archived", max_retry=0),
                Task("t", does("fail", text="not yet"), task_id="retry"),
            ]
        )
        await python.events.wait("start", "active")
        settled = Books(
            active=("active",), completed={"completed"}, archived={"archived"}, retry={"retry"}, processed=3,
            failed=2,
        )  # fmt: skip
        await books_become(redis, settled)
        await python.stop()
        await client.enqueue(Task("t"), task_id="scheduled", process_in=600)
        await client.enqueue(Task("t"), task_id="pending")
        await client.enqueue(Task("t"), task_id="aggregating", group="g")

        for state, method in LISTS.items():
            (task,) = await any_go.inspect(method, "default")
            assert (task["ID"], STATES[task["State"]], task["IsOrphaned"]) == (state, state, False)
        (task,) = await any_go.inspect("ListAggregatingTasks", "default", "g")
        assert (task["ID"], STATES[task["State"]]) == ("aggregating", "aggregating")
        assert await any_go.inspect("Groups", "default") == [{"Group": "g", "Size": 1}]
        info = await any_go.inspect("GetQueueInfo", "default")
        (today,) = await any_go.inspect("History", "default", 1)
        await python.release()

    counted = {name: info[name.capitalize()] for name in [*LISTS, "aggregating", "groups"]}
    assert counted == dict.fromkeys([*LISTS, "aggregating", "groups"], 1)
    assert (info["Size"], info["Processed"], info["Failed"], info["Paused"]) == (7, 3, 2, False)
    assert (info["ProcessedTotal"], info["FailedTotal"]) == (3, 2)
    assert 0 < info["Latency"] < 60 * SECOND
    assert info["MemoryUsage"] > 0
    assert (today["Processed"], today["Failed"]) == (3, 2)


async def test_go_shows_every_field_of_a_python_task(any_go: GoPeer, client: Client) -> None:
    at, deadline = int(time.time()) + 1000, int(time.time()) + 2000
    await client.enqueue(
        Task("mail", b"\x00p"),
        queue="q",
        task_id="a",
        max_retry=3,
        timeout=90,
        deadline=datetime.fromtimestamp(deadline, UTC),
        retention=600,
        process_at=datetime.fromtimestamp(at, UTC),
    )

    info = await any_go.inspect("GetTaskInfo", "q", "a")

    assert (info["ID"], info["Queue"], info["Type"], info["Payload"]) == ("a", "q", "mail", "AHA=")
    assert (info["MaxRetry"], info["Retried"], info["LastErr"]) == (3, 0, "")
    assert (info["Timeout"], info["Retention"]) == (90 * SECOND, 600 * SECOND)
    assert (_unix(info["Deadline"]), _unix(info["NextProcessAt"])) == (deadline, at)
    assert info["LastFailedAt"].startswith("0001-01-01")
    assert info["CompletedAt"].startswith("0001-01-01")


async def test_go_shows_the_outcome_of_a_python_try(any_go: GoPeer, client: Client, redis: Redis) -> None:
    before = int(time.time())
    await client.enqueue(Task("t", does("fail", text="no luck")), task_id="a", max_retry=0)
    await client.enqueue(Task("t", does("result", text="42")), task_id="b", retention=600)
    async with in_process(any_go.url):
        await books_become(redis, Books(archived={"a"}, completed={"b"}, processed=2, failed=1))

    a, b = [await any_go.inspect("GetTaskInfo", "default", task_id) for task_id in "ab"]

    assert "no luck" in a["LastErr"]
    assert before <= _unix(a["LastFailedAt"]) <= time.time()
    assert b["Result"] == "NDI="
    assert before <= _unix(b["CompletedAt"]) <= time.time()


async def test_go_sees_a_python_server_and_what_it_runs(any_go: GoPeer, client: Client) -> None:
    before = int(time.time())
    await client.enqueue(Task("t", does("wait")), task_id="a", queue="q", timeout=600)

    async with in_process(any_go.url, queues={"q": 6, "r": 1}, strict_priority=True, lease=2.0) as python:
        await python.events.wait("start", "a")
        (server,) = await eventually(
            lambda: any_go.inspect("Servers"), lambda seen: bool(seen and seen[0]["ActiveWorkers"])
        )
        await python.stop()
        await eventually(lambda: any_go.inspect("Servers"), lambda seen: seen[0]["Status"] == "stopped")
        await python.release()
    assert not await any_go.inspect("Servers")

    assert (server["Host"], server["PID"]) == (socket.gethostname(), os.getpid())
    assert (server["Concurrency"], server["Queues"]) == (10, {"q": 6, "r": 1})
    assert (server["StrictPriority"], server["Status"]) == (True, "active")
    assert before <= _unix(server["Started"]) <= time.time()
    (worker,) = server["ActiveWorkers"]
    assert (worker["TaskID"], worker["TaskType"], worker["Queue"]) == ("a", "t", "q")
    assert before <= _unix(worker["Started"]) <= time.time()
    assert _unix(worker["Deadline"]) - _unix(worker["Started"]) == 600


async def test_go_sees_its_own_servers_beside_those_of_python(go: GoPeer, old_go: GoPeer) -> None:
    async with in_process(go.url) as python, go.serve() as newest, old_go.serve() as oldest:
        pids = {os.getpid(), newest.pid, oldest.pid}
        for peer in (go, old_go):
            await eventually(
                lambda peer=peer: peer.inspect("Servers"),  # type: ignore[misc]  # of a default
                lambda seen: {server["PID"] for server in seen} == pids,
            )
        assert python.server.state == "active"


STEPS: list[tuple[str, tuple[Any, ...], Books]] = [
    ("RunTask", ("default", "later"), Books(pending=("now", "later"))),
    ("ArchiveTask", ("default", "now"), Books(scheduled={"later"}, archived={"now"})),
    ("DeleteTask", ("default", "later"), Books(pending=("now",))),
    ("RunAllScheduledTasks", ("default",), Books(pending=("now", "later"))),
    ("ArchiveAllPendingTasks", ("default",), Books(scheduled={"later"}, archived={"now"})),
    ("DeleteAllPendingTasks", ("default",), Books(scheduled={"later"})),
    ("DeleteQueue", ("default", True), Books()),
]


@pytest.mark.parametrize(("method", "arguments", "after"), STEPS, ids=[step[0] for step in STEPS])
async def test_go_steers_the_tasks_of_python(
    any_go: GoPeer, client: Client, redis: Redis, method: str, arguments: tuple[Any, ...], after: Books
) -> None:
    await client.enqueue(Task("t"), task_id="now")
    await client.enqueue(Task("t"), task_id="later", process_in=600, unique=600)
    locks = 0 if method in ("DeleteTask",) else 1  # Go's DeleteQueue leaves locks behind

    await any_go.inspect(method, *arguments)

    await books_become(redis, Books(**{**_fields(after), "locks": locks}))


def _fields(after: Books) -> dict[str, Any]:
    return {name: getattr(after, name) for name in after.__dataclass_fields__}


async def test_what_go_puts_back_into_pending_is_run_by_python(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t", does("succeed", fail=1, text="x")), task_id="a", max_retry=5)
    async with in_process(any_go.url, retry_delay=3600) as python:
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))
        await any_go.inspect("ArchiveTask", "default", "a")
        await any_go.inspect("RunTask", "default", "a")
        await books_become(redis, Books(processed=2, failed=1))
        assert (await python.events.wait("start", "a", times=2)).retried == 1


async def test_a_payload_that_go_changes_is_the_one_python_runs(go: GoPeer, client: Client) -> None:
    await client.enqueue(Task("t", does("fail")), task_id="a", process_in=600)

    await go.inspect("UpdateTaskPayload", "default", "a", "bmV3")
    await go.inspect("RunTask", "default", "a")

    async with in_process(go.url) as python:
        assert (await python.events.wait("start", "a")).payload == b"new"


async def test_python_sees_the_outcome_of_a_go_try(any_go: GoPeer, client: Client, redis: Redis) -> None:
    before = int(time.time())
    await client.enqueue(Task("t", does("fail", text="no luck")), task_id="a", max_retry=0)
    await client.enqueue(Task("t", does("result", text="42")), task_id="b", retention=600)
    async with any_go.serve():
        await books_become(redis, Books(archived={"a"}, completed={"b"}, processed=2, failed=1))

    async with Inspector(any_go.url) as inspector:
        a, b = [await inspector.task_info("default", task_id) for task_id in "ab"]

    assert (a.state, a.last_error) == (TaskState.ARCHIVED, "no luck")
    assert a.last_failed_at is not None
    assert before <= a.last_failed_at.timestamp() <= time.time()
    assert (b.state, b.result) == (TaskState.COMPLETED, b"42")
    assert b.completed_at is not None
    assert before <= b.completed_at.timestamp() <= time.time()
