"""Go's command line and ours print the same facts about one Redis, field by field."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Scheduler, Server, Task, option_text
from tests import topologies
from tests.cli.filled import filled_by
from tests.cli.program import Program
from tests.eventually import eventually
from tests.interop.build import NoPeerError, command_line
from tests.interop.go_command_line import GoCommandLine, rows
from tests.ports import free_ports
from tests.servers import plain_client

STATES = ("active", "pending", "aggregating", "scheduled", "retry", "archived", "completed")


@pytest.fixture(scope="session")
def tcp_url(server_kind: str, server_url: str) -> Generator[str]:
    """Go's command line knows host and port alone: no socket file, no Sentinel."""
    match server_kind:
        case "sentinel":
            pytest.skip("Go's command line knows no Sentinel")
        case "embedded":
            with tempfile.TemporaryDirectory(prefix="asynq-py-test-") as folder:
                (port,) = free_ports(1)
                process = topologies.Process(Path(folder), port, ["--save", ""])
                process.start()
                try:
                    process.call("PING")
                    yield f"redis://127.0.0.1:{process.port}/0"
                finally:
                    process.kill()
        case _:
            yield server_url


@pytest.fixture
async def redis_url(tcp_url: str) -> str:
    async with plain_client(tcp_url) as client:
        await client.flushall()
    return tcp_url


@pytest.fixture(scope="session")
def installed(programs: Path) -> Path:
    try:
        return command_line(programs)
    except NoPeerError as why:
        pytest.skip(str(why))


@pytest.fixture
def go(installed: Path, redis_url: str) -> GoCommandLine:
    return GoCommandLine(installed, redis_url)


@pytest.fixture
def ours(tmp_path: Path, redis_url: str) -> Program:
    return Program(tmp_path, {"ASYNQ_REDIS_URL": redis_url})


@pytest.fixture
async def inspector(redis_url: str) -> AsyncGenerator[Inspector]:
    async with Inspector(redis_url) as inspector:
        yield inspector


@pytest.fixture
async def filled(go: GoCommandLine, redis_url: str, client: Client, redis: Redis) -> AsyncGenerator[Server]:
    async with filled_by(client, redis, redis_url) as server:
        yield server


async def _json(ours: Program, *arguments: str) -> Any:
    return (await ours(*arguments, "--json")).json


async def test_both_tell_the_same_of_all_queues_and_of_redis(
    go: GoCommandLine, ours: Program, filled: Server, client: Client
) -> None:
    await client.enqueue(Task("t"), queue="other")
    await ours("queue", "pause", "other")

    theirs, mine = json.loads(await go("stats", "--json")), await _json(ours, "stats")

    total = theirs["aggregate"]
    assert {name: mine["total"][name] for name in (*STATES, "processed", "failed")} == {
        name: total[name] for name in (*STATES, "processed", "failed")
    }
    numbers = ("Size", "Groups", *map(str.capitalize, STATES), "Processed", "Failed")
    names = {
        **{name: name.lower() for name in numbers},
        "Queue": "queue", "Paused": "is_paused", "ProcessedTotal": "processed_total",
        "FailedTotal": "failed_total", "MemoryUsage": "memory_usage",
    }  # fmt: skip
    assert set(theirs["queues"][0]) == {*names, "Latency", "Timestamp"}
    assert sorted(
        ({our: queue[their] for their, our in names.items()} for queue in theirs["queues"]),
        key=lambda queue: str(queue["queue"]),
    ) == [{our: queue[our] for our in names.values()} for queue in mine["queues"]]
    latency = {queue["Queue"]: queue["Latency"] / 1e9 for queue in theirs["queues"]}
    for queue in mine["queues"]:
        assert latency[queue["queue"]] == pytest.approx(queue["latency"], abs=30)
    steady = {"redis_version", "tcp_port", "run_id", "cluster_state", "cluster_known_nodes", "cluster_size"}
    shared = steady & set(theirs["redis"])
    assert len(shared) == 3
    assert {name: mine["redis"][name] for name in shared} == {name: theirs["redis"][name] for name in shared}


async def test_both_list_the_same_queues(
    go: GoCommandLine, ours: Program, client: Client, server_kind: str
) -> None:
    for queue in ("b", "a", "c:d"):
        await client.enqueue(Task("t"), queue=queue)

    mine = await _json(ours, "queue", "ls")

    names = [queue["queue"] for queue in mine["queues"]]
    if server_kind != "cluster":
        assert sorted((await go("queue", "ls")).split()) == names == ["a", "b", "c:d"]
        return
    theirs = {row["Queue"]: row for row in await go.table("queue", "ls")}
    assert sorted(theirs) == names
    for name, place in mine["cluster"].items():
        assert int(theirs[name]["Cluster KeySlot"]) == place["slot"]


async def test_both_tell_the_same_of_a_queue(go: GoCommandLine, ours: Program, filled: Server) -> None:
    text = await go("queue", "inspect", "default")
    (mine,) = (await _json(ours, "queue", "inspect", "default"))["queues"]

    theirs = dict(re.findall(r"^(Name|Size|Groups|Paused): +(\S+)$", text, re.MULTILINE))
    paused = str(mine["is_paused"]).lower()
    assert theirs == {
        "Name": mine["queue"], "Size": f"{mine['size']}", "Groups": f"{mine['groups']}", "Paused": paused,
    }  # fmt: skip
    states, today = text.split("Daily Stats")
    assert rows(states) == [{name: f"{mine[name]}" for name in STATES}]
    shown = (await ours("queue", "inspect", "default")).out
    (day,) = rows(today)
    assert (day["processed"], day["failed"]) == (f"{mine['processed']}", f"{mine['failed']}")
    assert day["error rate"] in shown


async def test_both_tell_the_same_of_each_day(go: GoCommandLine, ours: Program, filled: Server) -> None:
    theirs = await go.table("queue", "history", "default", "--days=3")
    mine = (await _json(ours, "queue", "history", "default", "--days", "3"))["history"]

    assert [(day["date"], f"{day['processed']}", f"{day['failed']}") for day in mine] == [
        (row["date (UTC)"], row["processed"], row["failed"]) for row in theirs
    ]


def _unix_date(text: str) -> datetime:
    return datetime.strptime(text, "%a %b %d %H:%M:%S UTC %Y").replace(tzinfo=UTC)


def _text(task: dict[str, Any], field: str) -> str:
    """How Go shows bytes."""
    return task[field] if (task[field] or "").strip() else "non-printable bytes"


@pytest.mark.parametrize("state", STATES)
async def test_both_list_the_same_tasks(go: GoCommandLine, ours: Program, filled: Server, state: str) -> None:
    more = ("--group", "g") if state == "aggregating" else ()
    (theirs,) = await go.table("task", "ls", "--queue=default", f"--state={state}", *more)
    (mine,) = (await _json(ours, "task", "ls", "--state", state, *more))["tasks"]

    same = {"ID": mine["id"], "Type": mine["type"], "Payload": _text(mine, "payload")}
    waiting = {"scheduled": "Process In", "retry": "Next Retry"}.get(state)
    if waiting:
        assert theirs.pop(waiting).startswith("in ")
        assert datetime.fromisoformat(mine["next_process_at"]) > datetime.now(UTC)
    if state in ("retry", "archived"):
        assert _unix_date(theirs.pop("Last Failed")) == datetime.fromisoformat(mine["last_failed_at"])
        same["Last Error"] = mine["last_error"]
    match state:
        case "retry":
            same |= {"Retried": f"{mine['retried']}", "Max Retry": f"{mine['max_retry']}"}
        case "completed":
            assert _unix_date(theirs.pop("CompletedAt")) == datetime.fromisoformat(mine["completed_at"])
            same["Result"] = _text(mine, "result")
        case "aggregating":
            same["Group"] = mine["group"]
    assert theirs == same


@pytest.mark.parametrize("state", STATES)
async def test_both_tell_the_same_of_a_task(
    go: GoCommandLine, ours: Program, filled: Server, state: str
) -> None:
    text = await go("task", "inspect", "--queue=default", f"--id={state}")
    (mine,) = (await _json(ours, "task", "inspect", state))["tasks"]

    theirs = dict(re.findall(r"^([^:\n]+): +(.+)$", text, re.MULTILINE))
    when, failed = theirs.pop("Next process time"), theirs.pop("Failed at", None)
    same = {
        "Queue": mine["queue"], "ID": mine["id"], "Type": mine["type"], "State": mine["state"],
        "Retried": f"{mine['retried']}/{mine['max_retry']}",
    }  # fmt: skip
    if mine["last_error"] is not None:
        same["Error message"] = mine["last_error"]
        assert _unix_date(failed or "") == datetime.fromisoformat(mine["last_failed_at"])
    assert theirs == same
    if mine["next_process_at"] is None:
        assert when == "n/a"
    elif state != "pending":
        assert _unix_date(when.partition(" (")[0]) == datetime.fromisoformat(mine["next_process_at"])


async def test_both_list_the_same_groups(go: GoCommandLine, ours: Program, client: Client) -> None:
    for group in ("b", "a", "b"):
        await client.enqueue(Task("t"), group=group)

    mine = (await _json(ours, "group", "ls"))["groups"]

    assert sorted((await go("group", "ls", "--queue=default")).split()) == [info["group"] for info in mine]


async def test_both_list_the_same_servers(
    go: GoCommandLine, ours: Program, filled: Server, inspector: Inspector
) -> None:
    def is_settled(seen: list[Any]) -> bool:
        return [server.status for server in seen] == ["stopped"] and len(seen[0].active_workers) == 1

    await eventually(inspector.servers, is_settled)
    (theirs,) = await go.table("server", "ls")
    (mine,) = (await _json(ours, "server", "ls"))["servers"]

    assert theirs.pop("Started").endswith(" ago")
    assert theirs == {
        "Host": mine["host"],
        "PID": f"{mine['pid']}",
        "State": mine["status"],
        "Active Workers": f"{len(mine['active_workers'])}/{mine['concurrency']}",
        "Queues": " ".join(f"{name}:{weight}" for name, weight in mine["queues"].items()),
    }


async def test_both_list_the_same_entries_and_what_they_enqueued(
    go: GoCommandLine, ours: Program, redis_url: str, inspector: Inspector
) -> None:
    scheduler = Scheduler(redis_url)
    often = scheduler.register("@every 1s", Task("t", {"n": 1}), queue="q", timeout=90)
    rarely = scheduler.register("@yearly", Task("u"))
    async with scheduler:
        await eventually(inspector.scheduler_entries, lambda seen: len(seen) == 2)
        await eventually(lambda: inspector.list_scheduler_enqueue_events(often))
        theirs = {row["EntryID"]: row for row in await go.table("cron", "ls")}
        mine = {entry["id"]: entry for entry in (await _json(ours, "cron", "ls"))["entries"]}
        events = await go.table("cron", "history", often, "--size=1000")
        told = (await _json(ours, "cron", "history", often, rarely, "--size", "1000"))["history"]

    assert theirs.keys() == mine.keys() == {often, rarely}
    for entry_id, entry in mine.items():
        row = theirs[entry_id]
        assert (row["Spec"], row["Type"], row["Payload"]) == (
            entry["spec"], entry["type"], _text(entry, "payload"),
        )  # fmt: skip
        options = option_text.read(re.findall(r"\w+\([^)]*\)", row["Options"]))
        assert json.loads(json.dumps(options)) == entry["options"]
    assert theirs[rarely]["Next"].startswith("In ")
    assert (theirs[rarely]["Prev"], mine[rarely]["previous_enqueue_at"]) == ("N/A", None)
    newest = told[often][-len(events) :]  # one more may have come meanwhile
    assert [(event["task_id"], event["enqueued_at"][:19]) for event in newest] == [
        (row["TaskID"], row["EnqueuedAt"][:19].replace(" ", "T")) for row in events
    ]


async def test_both_enqueue_the_same_task(go: GoCommandLine, ours: Program, inspector: Inspector) -> None:
    flags = {"retry": "3", "timeout": "90s", "deadline": "2100-01-01T00:00:00Z", "retention": "5h"}
    await go(
        "task", "enqueue", "--type_name=t", "--payload=x", "--queue=q", "--id=theirs",
        *(f"--{name}={value}" for name, value in flags.items()), "--process_in=1h",
    )  # fmt: skip
    await ours(
        "task", "enqueue", "t", "x", "--queue", "q", "--id", "ours",
        *(word for name, value in flags.items() for word in (f"--{name}", value)), "--process-in", "1h",
    )  # fmt: skip

    theirs, mine = [await inspector.task_info("q", task_id) for task_id in ("theirs", "ours")]

    fields = ("type", "payload", "state", "max_retry", "timeout", "deadline", "retention", "group")
    assert {name: getattr(mine, name) for name in fields} == {name: getattr(theirs, name) for name in fields}
    assert "ours" in await go("task", "ls", "--queue=q", "--state=scheduled")
