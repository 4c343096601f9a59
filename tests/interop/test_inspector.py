"""Go's Inspector reads and steers what Python wrote, and ours what Go wrote."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task, TaskState
from tests.books import Books, books_become
from tests.eventually import eventually
from tests.interop.peer import STATES, GoError, GoPeer
from tests.interop.script import does, in_process
from tests.interop.settled import settle_one_in_each_state

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
        await settle_one_in_each_state(python, client, redis)
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


# -- our Inspector on what Go wrote -------------------------------------------------------------------------


async def test_python_lists_and_counts_the_tasks_of_go_in_every_state(any_go: GoPeer, redis: Redis) -> None:
    await any_go.enqueue("t", does("wait"), task_id="active")
    await any_go.enqueue("t", does("result", text="42"), task_id="completed", retention=600)
    await any_go.enqueue("t", does("fail", text="no luck"), task_id="archived", max_retry=0)
    await any_go.enqueue("t", does("fail", text="not yet"), task_id="retry")
    async with any_go.serve(retry_delay=3600) as worker, Inspector(any_go.url) as inspector:
        await worker.events.wait("start", "active")
        settled = Books(
            active=("active",), completed={"completed"}, archived={"archived"}, retry={"retry"}, processed=3,
            failed=2,
        )  # fmt: skip
        await books_become(redis, settled)
        await worker.stop()
        await any_go.enqueue("t", b"", task_id="scheduled", process_in=600)
        await any_go.enqueue("t", b"", task_id="pending")
        await any_go.enqueue("t", b"", task_id="aggregating", group="g")

        listed = {
            state: await lister("default")
            for state, lister in {
                "pending": inspector.list_pending,
                "active": inspector.list_active,
                "scheduled": inspector.list_scheduled,
                "retry": inspector.list_retry,
                "archived": inspector.list_archived,
                "completed": inspector.list_completed,
            }.items()
        }
        listed["aggregating"] = await inspector.list_aggregating("default", "g")
        walked = {
            str(state): [
                task
                async for task in inspector.tasks(
                    "default", state, group="g" if state == "aggregating" else None
                )
            ]
            for state in TaskState
        }
        info, (group,) = await inspector.queue_info("default"), await inspector.groups("default")
        (today,) = await inspector.history("default", 1)
        await worker.release()

    for state, tasks in listed.items():
        assert [(task.id, task.state, task.is_orphaned) for task in tasks] == [(state, state, False)]
    assert {state: [task.id for task in tasks] for state, tasks in walked.items()} == {
        state: [state] for state in listed
    }
    assert [listed[state][0].last_error for state in ("archived", "retry")] == ["no luck", "not yet"]
    assert listed["completed"][0].result == b"42"
    assert {getattr(info, state) for state in listed} == {1}
    assert (info.size, info.groups, info.processed, info.failed_total) == (7, 1, 3, 2)
    assert 0 < info.latency < 60
    assert info.memory_usage > 0
    assert (group.group, group.size) == ("g", 1)
    assert (today.processed, today.failed) == (3, 2)


async def test_python_and_go_see_the_same_pages_in_the_same_order(any_go: GoPeer) -> None:
    for n in (3, 1, 2):
        await any_go.enqueue("t", b"", task_id=f"later {n}", process_in=600 + n)
        await any_go.enqueue("t", b"", task_id=f"now {n}")

    async with Inspector(any_go.url) as inspector:
        for method, ours in {
            "ListPendingTasks": await inspector.list_pending("default"),
            "ListScheduledTasks": await inspector.list_scheduled("default"),
        }.items():
            theirs = await any_go.inspect(method, "default")
            assert [task.id for task in ours] == [task["ID"] for task in theirs]


async def test_python_sees_a_go_server_and_what_it_runs(any_go: GoPeer) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await any_go.enqueue("t", does("wait"), task_id="a", queue="q", timeout=600)

    async with (
        any_go.serve(queues={"q": 6, "r": 1}, strict_priority=True) as worker,
        Inspector(any_go.url) as inspector,
    ):
        await worker.events.wait("start", "a")
        (server,) = await eventually(
            inspector.servers, lambda seen: bool(seen and seen[0].active_workers), within=30
        )
        await worker.release()

    assert (server.host, server.pid) == (socket.gethostname(), worker.pid)
    assert (server.concurrency, server.queues, server.strict_priority) == (10, {"q": 6, "r": 1}, True)
    assert server.status == "active"
    assert before <= server.started_at <= datetime.now(UTC)
    (running,) = server.active_workers
    assert (running.task_id, running.task_type, running.queue) == ("a", "t", "q")
    # Go reads its clock twice
    assert abs(running.deadline - running.started_at - timedelta(seconds=600)) < timedelta(seconds=1)


OUR_STEPS: list[tuple[str, Callable[[Inspector], Awaitable[object]], Books]] = [
    ("run", lambda i: i.run_task("default", "later"), Books(pending=("now", "later"), locks=1)),
    (
        "archive",
        lambda i: i.archive_task("default", "now"),
        Books(scheduled={"later"}, archived={"now"}, locks=1),
    ),
    ("delete", lambda i: i.delete_task("default", "later"), Books(pending=("now",))),
    ("run all", lambda i: i.run_all_scheduled("default"), Books(pending=("now", "later"), locks=1)),
    (
        "archive all",
        lambda i: i.archive_all_pending("default"),
        Books(scheduled={"later"}, archived={"now"}, locks=1),
    ),
    ("delete all", lambda i: i.delete_all_scheduled("default"), Books(pending=("now",))),
    ("delete queue", lambda i: i.delete_queue("default", force=True), Books()),
]


@pytest.mark.parametrize(("step", "after"), [s[1:] for s in OUR_STEPS], ids=[s[0] for s in OUR_STEPS])
async def test_python_steers_the_tasks_of_go(
    any_go: GoPeer, redis: Redis, step: Callable[[Inspector], Awaitable[object]], after: Books
) -> None:
    await any_go.enqueue("t", b"", task_id="now")
    await any_go.enqueue("t", b"", task_id="later", process_in=600, unique=600)

    async with Inspector(any_go.url) as inspector:
        await step(inspector)

    await books_become(redis, after)
    assert (await any_go.inspect("Queues") or []) == (["default"] if after != Books() else [])


async def test_what_python_puts_back_into_pending_is_run_by_go(any_go: GoPeer, redis: Redis) -> None:
    await any_go.enqueue("t", does("succeed", fail=1, text="x"), task_id="a", max_retry=5)
    async with any_go.serve(retry_delay=3600) as worker, Inspector(any_go.url) as inspector:
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))
        await inspector.archive_task("default", "a")
        await inspector.run_task("default", "a")
        await books_become(redis, Books(processed=2, failed=1))
        assert (await worker.events.wait("start", "a", times=2)).retried == 1


async def test_a_payload_that_python_changes_is_the_one_go_runs_and_locks(
    any_go: GoPeer, redis: Redis
) -> None:
    await any_go.enqueue("t", b"old", task_id="a", process_in=600, unique=600)

    async with Inspector(any_go.url) as inspector:
        await inspector.update_task_payload("default", "a", does("succeed"))
        with pytest.raises(GoError) as refused:
            await any_go.enqueue("t", does("succeed"), unique=600)
        await any_go.enqueue("t", b"old", task_id="b", process_in=600, unique=600)
        await inspector.run_task("default", "a")

        async with any_go.serve() as worker:
            assert (await worker.events.wait("start", "a")).payload == does("succeed")
            await books_become(redis, Books(scheduled={"b"}, processed=1, locks=1))

    assert refused.value.kind == "duplicate"
