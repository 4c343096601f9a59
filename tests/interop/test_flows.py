"""Steps of a flow run in Go: they get a plain object, and their ends are noticed."""

from __future__ import annotations

import asyncio
import json

import pytest

from asynq_py import App, FlowFailedError, FlowFailure, FlowState, chain, gather
from tests.app.test_app import serving
from tests.eventually import eventually
from tests.interop.peer import GoPeer
from tests.interop.test_typed_tasks import Script

pytestmark = pytest.mark.timeout(90, func_only=True)


async def test_a_step_in_go_gets_the_result_before_and_its_own_is_passed_on(any_go: GoPeer) -> None:
    app = App(any_go.url)
    play = app.remote("play", payload=Script, result=list[int], queue="go")

    @app.task
    async def prepare(text: str) -> Script:
        return Script("result", text)

    @app.task
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    async with app, any_go.serve(queues={"go": 1}) as worker, serving(app):
        handle = await chain(prepare.step("[1,2]"), play.step(), total.step()).enqueue()
        started = await worker.events.wait("start", f"{handle.id}:1")
        assert await handle.result(timeout=60) == 3

    assert json.loads(started.payload) == {"do": "result", "text": "[1,2]"}


async def test_a_join_waits_for_steps_in_go_and_in_python(go: GoPeer) -> None:
    app = App(go.url)
    play = app.remote("play", payload=Script, result=int, queue="go")
    runs: list[list[int]] = []

    @app.task
    async def one() -> int:
        return 1

    @app.task
    async def join(numbers: list[int]) -> int:
        runs.append(numbers)
        return sum(numbers)

    flow = gather(play.step(Script("result", "20")), one.step(), play.step(Script("result", "300")))
    # two servers, and both look after flows
    async with app, go.serve(queues={"go": 1}), serving(app), serving(app):
        handle = await flow.then(join.step()).enqueue()
        assert await handle.result(timeout=60) == 321
    assert runs == [[20, 1, 300]]


async def test_a_step_that_go_archives_fails_the_flow(go: GoPeer) -> None:
    app = App(go.url)
    play = app.remote("play", payload=Script, queue="go")
    told: asyncio.Queue[FlowFailure] = asyncio.Queue()

    @app.task
    async def alert(failure: FlowFailure) -> None:
        await told.put(failure)

    async with app, go.serve(queues={"go": 1}), serving(app):
        handle = await play.step(Script("skip", "not ours")).on_archive(alert.step()).enqueue()
        with pytest.raises(FlowFailedError, match="not ours"):
            await handle.result(timeout=60)
        async with asyncio.timeout(60):
            failure = await told.get()
    assert failure["task_id"] == f"{handle.id}:0"
    assert "not ours" in failure["error"]


async def test_a_flow_with_a_step_that_runs_in_go_can_be_cancelled(go: GoPeer) -> None:
    app = App(go.url)
    play = app.remote("play", payload=Script, queue="go", max_retry=0)

    async with app, go.serve(queues={"go": 1}) as worker, serving(app):
        handle = await play.step(Script("wait")).enqueue()
        await worker.events.wait("start", f"{handle.id}:0")
        assert await handle.cancel()
        await worker.events.wait("end", f"{handle.id}:0")
        await eventually(handle.info, lambda info: info.steps[0].state == "cancelled", within=60)
        assert await handle.status() is FlowState.CANCELLED
