"""`asynq-py task cancel`, `run`, `archive` and `delete`: one task, many, all of a state, by type."""

from __future__ import annotations

import pytest

from asynq_py import Client, Inspector, Server, Task
from tests.cli.program import Program
from tests.eventually import eventually


async def _states(inspector: Inspector, queue: str = "default") -> dict[str, str]:
    found: dict[str, str] = {}
    for state in ("pending", "scheduled", "retry", "archived", "completed"):
        found |= {task.id: state async for task in inspector.tasks(queue, state)}
    return found


async def test_one_task_is_run_archived_and_deleted(
    run: Program, client: Client, inspector: Inspector
) -> None:
    await client.enqueue(Task("t"), task_id="a", process_in=600)

    assert (await run("task", "run", "a")).out == "made pending 1 task of queue default\n"
    assert await _states(inspector) == {"a": "pending"}
    assert (await run("task", "archive", "a")).out == "archived 1 task of queue default\n"
    assert await _states(inspector) == {"a": "archived"}
    assert (await run("task", "rm", "a", "--yes")).out == "deleted 1 task of queue default\n"
    assert await _states(inspector) == {}


async def test_what_can_be_done_is_done_and_the_rest_is_told(
    run: Program, client: Client, inspector: Inspector
) -> None:
    await client.enqueue(Task("t"), task_id="later", process_in=600)
    await client.enqueue(Task("t"), task_id="now")

    answer = await run("task", "run", "later", "now", "nobody", "later", "--json", code=1)

    assert answer.json == {
        "verb": "run",
        "queue": "default",
        "is_dry_run": False,
        "count": 1,
        "failed": {
            "now": "task 'now' in queue 'default' cannot be run: it is pending already",
            "nobody": "queue 'default' has no task with the ID 'nobody'",
        },
    }
    assert sorted(answer.err.splitlines()) == [
        "asynq-py task run: queue 'default' has no task with the ID 'nobody'",
        "asynq-py task run: task 'now' in queue 'default' cannot be run: it is pending already",
    ]
    assert await _states(inspector) == {"later": "pending", "now": "pending"}


@pytest.mark.parametrize(
    ("verb", "state", "goal"),
    [
        ("run", "scheduled", "pending"),
        ("archive", "pending", "archived"),
        ("archive", "scheduled", "archived"),
    ],
)
async def test_all_of_a_state_are_moved(
    run: Program, client: Client, inspector: Inspector, verb: str, state: str, goal: str
) -> None:
    delay = 600 if state == "scheduled" else None
    await client.enqueue_many([Task("t", task_id=f"{n}") for n in range(25)], process_in=delay)

    answer = await run("task", verb, "--state", state, "--yes")

    past = {"run": "made pending", "archive": "archived"}[verb]
    assert answer.out == f"{past} 25 {state} tasks of queue default\n"
    assert set((await _states(inspector)).values()) == {goal}


@pytest.mark.parametrize("state", ["pending", "scheduled", "retry", "archived", "completed", "aggregating"])
async def test_all_of_any_state_but_active_are_deleted(
    run: Program, filled: Server, inspector: Inspector, state: str
) -> None:
    answer = await run("task", "delete", "--state", state, "--yes", "--json")

    assert answer.json["count"] == 1
    info = await inspector.queue_info("default")
    assert (info.size, getattr(info, state)) == (6, 0)


async def test_a_group_can_be_chosen(run: Program, client: Client, inspector: Inspector) -> None:
    for group in ("g", "g", "h"):
        await client.enqueue(Task("t"), group=group)
    chosen = ("--state", "aggregating", "--group", "g", "--yes")

    assert (await run("task", "run", *chosen, "--dry-run")).out == (
        "would run 2 aggregating tasks in group g of queue default\n"
    )
    assert (
        await run("task", "run", *chosen)
    ).out == "made pending 2 aggregating tasks in group g of queue default\n"
    assert (await inspector.queue_info("default")).pending == 2
    assert (await run("task", "delete", "--state", "aggregating", "--yes", "--json")).json["count"] == 1


async def test_those_of_a_type_are_chosen_among_a_state(
    run: Program, client: Client, inspector: Inspector
) -> None:
    kinds = ("mail:send", "mail:read", "report")
    await client.enqueue_many([Task(kind, task_id=kind) for kind in kinds], process_in=600)
    chosen = ("--state", "scheduled", "--type", "mail:*")

    line = await run.fails("task", "delete", *chosen, code=2)
    assert line.startswith(
        "asynq-py: Delete 2 scheduled tasks of type mail:* of queue default? Nobody is here"
    )
    assert (await run("task", "run", *chosen, "--yes", "--json")).json["count"] == 2
    assert await _states(inspector) == {"mail:send": "pending", "mail:read": "pending", "report": "scheduled"}


async def test_nothing_is_changed_by_a_dry_run_nor_by_a_no(
    run: Program, client: Client, inspector: Inspector
) -> None:
    await client.enqueue_many([Task("t", task_id=task_id) for task_id in "abc"])
    before = await _states(inspector)

    dry = await run("task", "delete", "a", "nobody", "--dry-run", code=1)
    assert dry.out == "would delete 1 task of queue default\n"
    assert "has no task with the ID 'nobody'" in dry.err
    refused = await run.on_terminal("task", "delete", "--state", "pending", typed="n\n")
    assert (refused.code, "Delete 3 pending tasks of queue default? [y/N]" in refused.out) == (1, True)
    assert "nothing was changed" in refused.out
    assert await _states(inspector) == before


async def test_a_yes_on_the_terminal_deletes(run: Program, client: Client, inspector: Inspector) -> None:
    await client.enqueue_many([Task("t") for _ in range(1500)])

    agreed = await run.on_terminal("task", "delete", "--state", "pending", "--type", "t", typed="y\n")

    assert agreed.code == 0
    assert "deleted 1500 pending tasks of type t of queue default" in agreed.out
    assert "1500/1500" in agreed.out  # a bar shows how far it is
    assert (await inspector.queue_info("default")).size == 0


async def test_active_tasks_are_cancelled_by_id_or_all(
    run: Program, redis_url: str, client: Client, inspector: Inspector
) -> None:
    async def wait(task: object) -> None:
        from asyncio import Event

        await Event().wait()

    async with Server(redis_url, wait):
        await client.enqueue_many([Task(f"t{n}", task_id=f"{n}", max_retry=0) for n in range(3)])
        await eventually(lambda: inspector.list_active("default"), lambda seen: len(seen) == 3)
        assert (await run("task", "cancel", "0")).out == "asked to cancel 1 task\n"
        await eventually(lambda: inspector.list_archived("default"), lambda seen: len(seen) == 1)
        assert (await run("task", "cancel", "--type", "t1", "--yes", "--json")).json["count"] == 1
        await eventually(lambda: inspector.list_archived("default"), lambda seen: len(seen) == 2)
        assert (await run("task", "cancel", "--all", "--yes", "--json")).json["count"] == 1
        await eventually(lambda: inspector.list_archived("default"), lambda seen: len(seen) == 3)


@pytest.mark.parametrize("arguments", [(), ("a", "--state", "pending")])
async def test_it_must_be_said_which_tasks_are_meant(run: Program, arguments: tuple[str, ...]) -> None:
    line = await run.fails("task", "delete", *arguments, code=2)
    assert line == (
        "asynq-py task delete: say which tasks: either by IDs, or by --state "
        "(see asynq-py task delete --help)"
    )


async def test_an_unknown_queue_is_told(run: Program) -> None:
    for arguments in (("--state", "archived"), ("--state", "archived", "--type", "t"), ("a",)):
        answer = await run("task", "delete", "-q", "nowhere", "--yes", *arguments, code=1)
        assert answer.err.endswith(": there is no queue 'nowhere'\n")
