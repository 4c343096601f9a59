"""`asynq-py flow`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from asynq_py import App, FlowHandle, FlowState, chain, gather
from tests.cli.program import Program


@pytest.fixture
async def app(redis_url: str) -> AsyncGenerator[App]:
    async with App(redis_url) as app:
        yield app


async def enqueue(app: App, name: str) -> FlowHandle[str]:
    """Two steps that wait for a worker, and one that waits for both."""

    @app.task(name="load")
    async def load(path: str) -> str:
        return path

    @app.task(name="join")
    async def join(parts: list[str]) -> str:
        return "".join(parts)

    return await chain(gather(load.step("a"), load.step("b")), join.step()).enqueue(name=name)


async def test_ls_lists_flows_and_says_that_there_are_none(run: Program, app: App) -> None:
    assert (await run("flow", "ls")).out == "there are no flows\n"
    handle = await enqueue(app, "albums")

    header, _, row = (await run("flow", "ls")).lines
    (listed,) = (await run("flow", "ls", "--json")).json["flows"]

    assert header.split() == ["id", "name", "state", "done", "began", "ended", "error"]
    assert row.split()[:4] == [handle.id, "albums", "running", "0/3"]
    assert (listed["id"], listed["state"], listed["done"], listed["total"]) == (handle.id, "running", 0, 3)
    assert (await run("flow", "ls", "--page", "2", "--json")).json["flows"] == []


async def test_inspect_shows_each_step(run: Program, app: App) -> None:
    handle = await enqueue(app, "albums")

    shown = (await run("flow", "inspect", handle.id)).out
    answer = await run("flow", "inspect", handle.id, "never", "--json", code=1)
    (info,) = answer.json["flows"]

    assert "0 of 3" in shown
    assert [(step["type"], step["state"], step["after"]) for step in info["steps"]] == [
        ("load", "sent", []),
        ("load", "sent", []),
        ("join", "waiting", ["0", "1"]),
    ]
    assert shown.splitlines()[-1].split()[:5] == ["2", "join", "waiting", "0,", "1"]
    assert "there is no flow 'never'" in answer.err


async def test_cancel_ends_flows_and_tells_of_those_that_had_ended(run: Program, app: App) -> None:
    handle = await enqueue(app, "albums")

    assert (await run("flow", "cancel", handle.id, "--yes")).out == f"cancelled {handle.id}\n"
    again = await run("flow", "cancel", handle.id, "--yes", code=1)

    assert (again.out, again.err) == ("", f"asynq-py flow cancel: flow '{handle.id}' had ended already\n")
    assert await handle.status() is FlowState.CANCELLED
    assert (await app.inspector.queue_info("default")).pending == 0


async def test_cancel_asks_with_a_count_and_cancels_only_after_a_yes(run: Program, app: App) -> None:
    handle = await enqueue(app, "albums")
    cancel = ("flow", "cancel", handle.id)

    line = await run.fails(*cancel, code=2)
    assert line.startswith(f"asynq-py: Cancel {handle.id} with 3 steps to go? Nobody is here to answer")
    assert (await run(*cancel, "--dry-run")).out == f"would cancel {handle.id}\n"
    assert (await run.on_terminal(*cancel, typed="n\n")).code == 1
    assert await handle.status() is FlowState.RUNNING
    assert (await run.on_terminal(*cancel, typed="y\n")).code == 0
    assert await handle.status() is FlowState.CANCELLED


async def test_programs_are_told_what_came_of_it(run: Program, app: App) -> None:
    handle = await enqueue(app, "albums")

    dry = await run("flow", "cancel", handle.id, "never", "--dry-run", "--json", code=1)
    answer = await run("flow", "cancel", handle.id, "never", "--yes", "--json", code=1)

    failed = {"never": "there is no flow 'never'"}
    assert dry.json == {"verb": "cancel", "is_dry_run": True, "count": 1, "failed": failed}
    assert answer.json == {"verb": "cancel", "is_dry_run": False, "count": 1, "failed": failed}


async def test_retry_lets_a_failed_flow_go_on(run: Program, app: App) -> None:
    handle = await enqueue(app, "albums")
    answer = await run("flow", "retry", handle.id, code=1)
    assert answer.err == f"asynq-py flow retry: flow '{handle.id}' has not failed\n"
    await app.inspector.archive_task("default", f"{handle.id}:0")
    async with app.server(queues=["idle"], forward_interval=0.05):
        with pytest.raises(Exception, match="archived by hand"):
            await handle.result(timeout=20)

    assert (await run("flow", "retry", handle.id)).out == f"retried {handle.id}\n"

    assert await handle.status() is FlowState.RUNNING
    assert (await app.inspector.queue_info("default")).pending == 2
