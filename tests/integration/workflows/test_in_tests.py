"""Flows of an app under test: rehearsed, or run where they are enqueued."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from asynq_py import App, AsynqError, Flow, FlowFailure, FlowState, Step, Task, chain, gather


def build(app: App, said: list[Any]) -> Flow[object, int]:
    @app.task
    async def split(text: str) -> list[str]:
        return text.split()

    @app.task
    def size(words: list[str], place: int) -> int:
        return len(words[place])

    @app.task(process_in=60)
    async def total(sizes: list[int]) -> int:
        return sum(sizes)

    @app.task
    async def tell(what: int) -> None:
        said.append(what)

    @app.task
    async def alert(failure: FlowFailure) -> None:
        said.append(failure["error"])

    sizes = gather(size.step(place=0), size.step(place=1))
    return (
        chain(split.step("one three"), sizes, total.step()).on_success(tell.step()).on_failure(alert.step())
    )


async def test_a_flow_can_be_rehearsed(one_server: str) -> None:
    app, said = App("redis://127.0.0.1:1/0"), list[Any]()
    flow = build(app, said)
    async with app.test(one_server) as test:
        handle = await flow.enqueue()
        await test.run_until_idle()
        assert await handle.progress() == (3, 4)
        await test.advance(timedelta(seconds=61))
        assert await handle.result(timeout=10) == 8
    assert said == [8]


async def test_a_rehearsed_flow_runs_when_somebody_waits_for_it(one_server: str) -> None:
    app = App("redis://127.0.0.1:1/0")

    @app.task
    async def one(n: int = 0) -> int:
        return n + 1

    async with app.test(one_server):
        handle = await chain(one.step(), one.step(4)).enqueue()
        assert await handle.result(timeout=10) == 5


async def test_an_eager_app_runs_a_flow_where_it_is_enqueued() -> None:
    app, said = App("redis://127.0.0.1:1/0"), list[Any]()
    flow = build(app, said)
    with app.eager() as eager:
        handle = await flow.enqueue(name="sizes")
        assert await handle.result() == 8
        assert await handle.status() is FlowState.SUCCEEDED
        assert await handle.progress() == (4, 4)
        info = await handle.info()
        assert not await handle.cancel()
        assert not await handle.retry()
    assert said == [8]
    assert (info.name, info.done, [step.type for step in info.steps]) == (
        "sizes", 4, ["split", "size", "size", "total"],
    )  # fmt: skip
    eager.assert_enqueued("total")


async def test_what_a_step_of_an_eager_app_raises_is_raised_where_the_flow_is_enqueued() -> None:
    app, said = App("redis://127.0.0.1:1/0"), list[Any]()
    build(app, said)

    @app.task
    async def fail() -> int:
        raise LookupError("no such user")

    alert = app.tasks["alert"]
    with app.eager():
        with pytest.raises(LookupError, match="no such user"):
            await fail.step().on_failure(alert.step()).enqueue()
        with pytest.raises(AsynqError, match="no function here"):
            await app.enqueue(Step.of(Task("elsewhere")))
    assert said == ["LookupError: no such user"]
