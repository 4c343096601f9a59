"""`asynq-py queue`."""

from __future__ import annotations

from redis.crc import key_slot

from asynq_py import Client, Inspector, Server, Task
from tests.cli.program import Program


async def test_ls_lists_queues_in_numbers(run: Program, filled: Server, client: Client) -> None:
    await client.enqueue(Task("t"), queue="other")

    answer = await run("queue", "ls")
    listed = (await run("queue", "ls", "--json")).json["queues"]

    header, _, first, second = answer.lines
    assert header.split()[:9] == [
        "queue", "size", "pending", "active", "latency", "memory", "processed", "failed", "paused",
    ]  # fmt: skip
    assert first.split()[:4] == ["default", "7", "1", "1"]
    assert second.split()[:4] == ["other", "1", "1", "0"]
    assert [(info["queue"], info["size"], info["is_paused"]) for info in listed] == [
        ("default", 7, False),
        ("other", 1, False),
    ]


async def test_ls_says_that_there_are_none(run: Program) -> None:
    assert (await run("queue", "ls")).out == "there are no queues\n"
    assert (await run("queue", "list", "--json")).json == {"queues": [], "cluster": {}}


async def test_ls_tells_where_a_cluster_has_the_queues(
    run: Program, client: Client, server_kind: str
) -> None:
    await client.enqueue(Task("t"))

    answer = await run("queue", "ls")
    places = (await run("queue", "ls", "--json")).json["cluster"]

    if server_kind == "cluster":
        assert places["default"]["slot"] == key_slot(b"default")
        assert len(places["default"]["nodes"]) == 2
        assert answer.lines[0].split()[-2:] == ["slot", "nodes"]
    else:
        assert places == {}


async def test_inspect_counts_each_state(run: Program, filled: Server) -> None:
    shown = (await run("queue", "inspect", "default")).out
    (info,) = (await run("queue", "inspect", "default", "--json")).json["queues"]

    states = ("active", "pending", "aggregating", "scheduled", "retry", "archived", "completed")
    assert {name: info[name] for name in states} == dict.fromkeys(states, 1)
    assert (info["size"], info["groups"], info["processed"], info["failed"]) == (7, 1, 3, 2)
    assert "3 processed, 2 failed (66.67%)" in shown
    assert shown.splitlines()[-1].split() == ["1"] * 7


async def test_history_counts_by_day(run: Program, filled: Server) -> None:
    days = (await run("queue", "history", "default", "--days", "3", "--json")).json["history"]
    shown = (await run("queue", "history", "default", "-x", "3")).lines

    assert [(day["queue"], day["processed"], day["failed"]) for day in days] == [
        ("default", 3, 2), ("default", 0, 0), ("default", 0, 0),
    ]  # fmt: skip
    assert shown[3].split() == [days[0]["date"], "3", "2", "66.67%"]


async def test_pause_and_unpause_each_queue_and_tell_what_cannot_be(
    run: Program, client: Client, inspector: Inspector
) -> None:
    for name in ("a", "b"):
        await client.enqueue(Task("t"), queue=name)

    assert (await run("queue", "pause", "a", "b")).lines == ["paused a", "paused b"]
    assert (await inspector.queue_info("a")).is_paused
    answer = await run("queue", "pause", "a", code=1)
    assert answer.err == "asynq-py queue pause: queue 'a' is already paused\n"
    assert (await run("queue", "resume", "a")).out == "unpaused a\n"
    assert not (await inspector.queue_info("a")).is_paused
    answer = await run("queue", "unpause", "a", "b", code=1)
    assert (answer.out, answer.err) == ("unpaused b\n", "asynq-py queue unpause: queue 'a' is not paused\n")


async def test_programs_are_told_what_came_of_it(run: Program, client: Client) -> None:
    await client.enqueue(Task("t"), queue="a")
    await run("queue", "pause", "b")

    paused = await run("queue", "pause", "a", "b", "--json", code=1)
    dry = await run("queue", "rm", "a", "--force", "--dry-run", "--json")
    removed = await run("queue", "rm", "a", "--force", "--yes", "--json")

    failed = {"b": "queue 'b' is already paused"}
    assert paused.json == {"verb": "pause", "is_dry_run": False, "count": 1, "failed": failed}
    assert paused.err == "asynq-py queue pause: queue 'b' is already paused\n"
    assert dry.json == {"verb": "remove", "is_dry_run": True, "count": 1, "failed": {}}
    assert removed.json == {"verb": "remove", "is_dry_run": False, "count": 1, "failed": {}}


async def test_rm_asks_with_a_count_and_removes_only_after_a_yes(
    run: Program, client: Client, inspector: Inspector
) -> None:
    await client.enqueue_many([Task("t"), Task("t")], queue="q")
    rm = ("queue", "rm", "q", "--force")

    line = await run.fails(*rm, code=2)
    assert line == (
        "asynq-py: Remove q with 2 tasks? Nobody is here to answer: say --yes, or look with --dry-run"
    )
    assert (await run(*rm, "--dry-run")).out == "would remove q with 2 tasks\n"
    refused = await run.on_terminal(*rm, typed="n\n")
    assert (refused.code, await inspector.queues()) == (1, ["q"])
    assert "Remove q with 2 tasks? [y/N]" in refused.out
    agreed = await run.on_terminal(*rm, typed="y\n")
    assert (agreed.code, await inspector.queues()) == (0, [])


async def test_rm_leaves_tasks_alone_without_force_and_goes_on_with_the_others(
    run: Program, client: Client, inspector: Inspector
) -> None:
    await client.enqueue(Task("t"), queue="full")
    await client.enqueue(Task("t"), queue="empty", task_id="a")
    await inspector.delete_task("empty", "a")

    answer = await run("queue", "remove", "full", "nowhere", "empty", "--yes", code=1)

    assert answer.out == "removed empty\n"
    assert sorted(answer.err.splitlines()) == [
        "asynq-py queue rm: queue 'full' is not empty: it has tasks",
        "asynq-py queue rm: there is no queue 'nowhere'",
    ]
    assert await inspector.queues() == ["full"]
