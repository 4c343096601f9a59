"""`asynq-py group`, `server` and `cron`: what lives beside queues and tasks."""

from __future__ import annotations

import os
import socket

from asynq_py import Client, Inspector, Scheduler, Server, Task
from tests.cli.program import Program
from tests.eventually import eventually


async def test_group_ls_lists_groups_and_their_sizes(run: Program, client: Client) -> None:
    for group in ("b", "a", "b"):
        await client.enqueue(Task("t"), group=group, queue="q")

    assert (await run("group", "ls", "-q", "q", "--json")).json == {
        "queue": "q",
        "groups": [{"group": "a", "size": 1}, {"group": "b", "size": 2}],
    }
    assert [line.split() for line in (await run("group", "ls", "-q", "q")).lines[2:]] == [
        ["a", "1"],
        ["b", "2"],
    ]
    await client.enqueue(Task("t"))
    assert (await run("group", "ls")).out == "no groups in queue default\n"


async def test_server_ls_lists_servers_and_what_they_run(
    run: Program, filled: Server, inspector: Inspector
) -> None:
    await eventually(
        inspector.servers, lambda seen: seen[0].status == "stopped" and len(seen[0].active_workers) == 1
    )

    (server,) = (await run("server", "ls", "--json")).json["servers"]
    shown = (await run("server", "ls", "--workers")).out

    assert (server["host"], server["pid"]) == (socket.gethostname(), os.getpid())
    assert (server["concurrency"], server["queues"], server["status"]) == (
        10,
        {"default": 2, "low": 1},
        "stopped",
    )
    (worker,) = server["active_workers"]
    assert (worker["task_id"], worker["queue"], worker["task_payload"]) == (
        "active",
        "default",
        '{"to":"ada"}',
    )
    servers, workers = shown.split("\n\n")
    host, pid, state, running, *queues = servers.splitlines()[2].split()[:6]
    assert (host, pid, state, running) == (socket.gethostname(), f"{os.getpid()}", "stopped", "1/10")
    assert queues == ["default=2,", "low=1"]
    assert workers.splitlines()[-1].split()[1:5] == ["default", "active", "mail:send", '{"to":"ada"}']


async def test_server_ls_says_that_none_runs(run: Program) -> None:
    assert (await run("server", "ls")).out == "no server runs\n"


async def test_cron_lists_entries_and_what_they_enqueued(
    run: Program, redis_url: str, inspector: Inspector
) -> None:
    scheduler = Scheduler(redis_url)
    often = scheduler.register("@every 1s", Task("t", {"n": 1}), queue="q", timeout=90)
    rarely = scheduler.register("@yearly", Task("u"))
    async with scheduler:
        await eventually(inspector.scheduler_entries, lambda seen: len(seen) == 2)
        await eventually(lambda: inspector.list_scheduler_enqueue_events(often))
        entries = {entry["id"]: entry for entry in (await run("cron", "ls", "--json")).json["entries"]}
        shown = (await run("cron", "ls")).lines
        history = (await run("cron", "history", often, rarely, "--json")).json["history"]
        told = (await run("cron", "history", often, rarely)).out
        tasks = [task.id for task in await inspector.list_pending("q")]

    assert (entries[often]["spec"], entries[often]["type"], entries[often]["payload"]) == (
        "@every 1s",
        "t",
        '{"n":1}',
    )
    assert entries[often]["options"] == {"queue": "q", "timeout": 90}
    assert entries[rarely]["previous_enqueue_at"] is None
    assert "queue=q, timeout=1m30s" in next(line for line in shown if line.startswith(often))
    assert history[rarely] == []
    assert {event["task_id"] for event in history[often]} <= set(tasks)
    assert history[often][0]["task_id"] in told
    assert f"{rarely}: nothing enqueued" in told


async def test_cron_ls_says_that_there_are_none(run: Program) -> None:
    assert (await run("cron", "ls")).out == "no scheduler has entries\n"


async def test_what_a_history_is_asked_of_is_written_out_where_it_cannot_be_shown(run: Program) -> None:
    assert (await run("cron", "history", "\U000f592e")).lines == [r"\U000f592e: nothing enqueued"]
