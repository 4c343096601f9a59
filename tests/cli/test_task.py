"""`asynq-py task ls` and `inspect`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Server, Task
from tests.cli.program import Program

STATES = ("active", "pending", "aggregating", "scheduled", "retry", "archived", "completed")


@pytest.mark.parametrize("state", STATES)
async def test_ls_lists_the_tasks_of_a_state(run: Program, filled: Server, state: str) -> None:
    answer = await run("task", "ls", "--state", state, "--json")

    assert [(task["id"], task["state"]) for task in answer.json["tasks"]] == [(state, state)]


async def test_ls_without_a_state_lists_all_with_what_is_of_interest(run: Program, filled: Server) -> None:
    found = (await run("task", "ls", "--json")).json
    shown = (await run("task", "ls")).out

    assert [task["state"] for task in found["tasks"]] == list(STATES)
    assert {key: found[key] for key in ("queue", "page", "size")} == {
        "queue": "default", "page": 1, "size": 30,
    }  # fmt: skip
    tables = dict(table.split("\n", 1) for table in shown.strip().split("\n\n"))
    assert [title.strip() for title in tables] == list(STATES)
    rows = {title.strip(): table.splitlines() for title, table in tables.items()}
    assert rows["pending"][2].split() == ["pending", "report:build", "2", "bytes,", "no", "text"]
    assert rows["scheduled"][2].split()[:3] == ["scheduled", "report:build", "in"]
    assert "OSError: no luck" in rows["retry"][2]
    assert "  1/5  " in rows["retry"][2]
    assert rows["completed"][2].split()[-1] == "42"
    assert rows["aggregating"][2].split()[-1] == "g"


async def test_ls_goes_by_pages_and_by_types(run: Program, client: Client) -> None:
    kinds = ("mail:send", "report:build", "mail:read")
    await client.enqueue_many([Task(kinds[n % 3], task_id=f"{n}") for n in range(9)], queue="q")

    async def ids(*more: str) -> list[str]:
        return [
            t["id"]
            for t in (await run("task", "ls", "-q", "q", "-s", "pending", "--json", *more)).json["tasks"]
        ]

    assert await ids("--page", "2", "--size", "4") == ["4", "5", "6", "7"]
    assert await ids("--type", "report:build") == ["1", "4", "7"]
    assert await ids("--type", "mail:*", "--page", "2", "--size", "4") == ["6", "8"]


async def test_ls_of_a_queue_without_such_tasks_says_so(run: Program, client: Client) -> None:
    await client.enqueue(Task("t"))

    assert (await run("task", "ls", "-s", "retry")).out == "no such tasks in queue default\n"
    assert await run.fails("task", "ls", "-q", "nowhere", code=1) == "asynq-py: there is no queue 'nowhere'"
    assert await run.fails("task", "ls", "-g", "g", code=2) == (
        "asynq-py: --group needs --state aggregating: only those tasks are in groups"
    )


async def test_inspect_tells_every_field(run: Program, client: Client) -> None:
    deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    await client.enqueue(
        Task("mail:send", {"to": "ada"}, headers={"trace": "7"}),
        queue="q", task_id="a", max_retry=3, timeout=90, deadline=deadline, retention=600,
        process_at=deadline - timedelta(minutes=30),
    )  # fmt: skip

    (task,) = (await run("task", "inspect", "a", "-q", "q", "--json")).json["tasks"]
    shown = (await run("task", "inspect", "a", "-q", "q")).lines

    assert task == {
        "id": "a",
        "queue": "q",
        "type": "mail:send",
        "payload": '{"to":"ada"}',
        "payload_base64": None,
        "headers": {"trace": "7"},
        "state": "scheduled",
        "max_retry": 3,
        "retried": 0,
        "last_error": None,
        "last_failed_at": None,
        "timeout": 90,
        "deadline": f"{deadline:%Y-%m-%dT%H:%M:%S}Z",
        "group": None,
        "next_process_at": f"{deadline - timedelta(minutes=30):%Y-%m-%dT%H:%M:%S}Z",
        "retention": 600,
        "completed_at": None,
        "result": None,
        "result_base64": None,
        "is_orphaned": False,
        "progress": None,
    }
    told = [line.split(maxsplit=1) for line in shown[1:]]
    assert ["retried", "0 of 3"] in [[name, value.strip()] for name, value in told]
    assert [name for name, _ in told] == [
        "queue", "type", "state", "payload", "header", "retried", "timeout", "deadline", "next", "kept",
    ]  # fmt: skip


async def test_inspect_tells_how_far_a_task_has_come(run: Program, client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t"), task_id="a")
    report = '{"done":3,"total":12,"note":"page 3","at":1767323045,"retried":0}'
    await redis.hset("asynq:{default}:t:a", "progress", f"7:{report}")

    (task,) = (await run("task", "inspect", "a", "--json")).json["tasks"]
    shown = (await run("task", "inspect", "a")).lines

    assert task["progress"] == {"done": 3, "total": 12, "note": "page 3", "at": "2026-01-02T03:04:05Z"}
    assert any(line.split()[:5] == ["progress", "3", "of", "12", "(25%),"] for line in shown)


async def test_inspect_tells_what_it_finds_and_complains_of_the_rest(run: Program, filled: Server) -> None:
    answer = await run("task", "inspect", "pending", "nobody", "--json", code=1)

    (task,) = answer.json["tasks"]
    assert (task["payload"], task["payload_base64"], task["headers"]) == (None, "/wA=", {"trace": "1"})
    assert answer.err == "asynq-py task inspect: queue 'default' has no task with the ID 'nobody'\n"


async def test_what_a_payload_says_cannot_steer_a_terminal(run: Program, client: Client) -> None:
    await client.enqueue(Task("t", "\x1b[31mred\n[bold]x"), task_id="a")

    shown = await run.on_terminal("task", "ls", "-s", "pending", NO_COLOR="1")

    assert "\\x1b[31mred\\n[bold]x" in shown.out
    assert "\x1b" not in shown.out
