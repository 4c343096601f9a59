"""A step for each item of a list that is known only when it is there."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from asynq_py import (
    App,
    FlowFailedError,
    FlowState,
    InvalidOptionError,
    StepState,
    Task,
    chain,
    current_task,
    each,
    gather,
)
from asynq_py.workflows.advance import advance
from tests.eventually import eventually
from tests.integration.workflows.conftest import Serve


@dataclass
class Image:
    path: str
    width: int = 0


async def test_a_step_runs_for_each_item_and_its_results_come_together_in_order(
    app: App, serve: Serve
) -> None:
    runs = Counter[str]()

    @app.task
    async def find(count: int) -> list[Image]:
        return [Image(f"{n}.png") for n in range(count)]

    @app.task(queue="images", headers={"tenant": "t1"})
    async def resize(image: Image, width: int) -> Image:
        runs[current_task().headers["tenant"]] += 1
        return Image(image.path, width)

    @app.task
    async def show(images: list[Image]) -> str:
        runs["show"] += 1
        return " ".join(f"{image.path}@{image.width}" for image in images)

    async with serve(), serve():
        handle = await chain(find.step(3), each(resize.step(10)), show.step()).enqueue()
        value: str = await handle.result(timeout=20)
        assert value == "0.png@10 1.png@10 2.png@10"
        assert await handle.progress() == (6, 6)
        info = await handle.info()
        assert [(step.id, step.state, step.after) for step in info.steps] == [
            ("0", StepState.DONE, ()),
            ("1", StepState.DONE, ("0",)),
            ("1.0", StepState.DONE, ("0",)),
            ("1.1", StepState.DONE, ("0",)),
            ("1.2", StepState.DONE, ("0",)),
            ("2", StepState.DONE, ("1",)),
        ]

        many = await chain(find.step(250), each(resize.step(10))).enqueue()
        images = await many.result(timeout=60)
        assert images == [Image(f"{n}.png", 10) for n in range(250)]
    assert runs == {"t1": 253, "show": 1}


async def test_of_no_items_comes_an_empty_list(app: App, serve: Serve) -> None:
    @app.task
    async def find() -> list[int]:
        return []

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    @app.task
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    async with serve():
        handle = await chain(find.step(), each(double.step()), total.step()).enqueue()
        assert await handle.result(timeout=20) == 0
        assert await handle.progress() == (3, 3)


async def test_several_can_follow_each_other_and_be_gathered(app: App, serve: Serve) -> None:
    @app.task
    async def find() -> list[int]:
        return [1, 2]

    @app.task
    async def add(n: int, more: int) -> int:
        return n + more

    both = gather(chain(each(add.step(10)), each(add.step(100))), each(add.step(5)))
    async with serve():
        handle = await chain(find.step(), both).enqueue()
        assert await handle.result(timeout=20) == [[111, 112], [6, 7]]


async def test_an_item_that_fails_fails_the_flow_and_is_tried_again_alone(app: App, serve: Serve) -> None:
    runs = Counter[int]()
    mended = False

    @app.task
    async def find() -> list[int]:
        return [0, 1, 2]

    @app.task(max_retry=0)
    async def check(n: int) -> int:
        runs[n] += 1
        if n == 1 and not mended:
            raise ValueError("no")
        return n

    async with serve():
        handle = await chain(find.step(), each(check.step())).enqueue()
        with pytest.raises(FlowFailedError, match="failed in 'check': ValueError: no") as failed:
            await handle.result(timeout=20)
        await eventually(handle.progress, lambda progress: progress.done == 3)
        mended = True
        assert await handle.retry()
        assert await handle.result(timeout=20) == [0, 1, 2]
    assert failed.value.task_id == f"{handle.id}:1.1"
    assert runs == {0: 1, 1: 2, 2: 1}


@pytest.mark.parametrize(
    ("found", "why"), [("text", "no list"), (list(range(2001)), "more than 2000"), (None, "no list")]
)
async def test_what_cannot_be_taken_item_by_item_fails_the_flow(
    app: App, serve: Serve, found: Any, why: str
) -> None:
    @app.task
    async def find() -> Any:
        return found

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with serve():
        handle = await chain(find.step(), each(double.step())).enqueue()
        with pytest.raises(FlowFailedError, match=why):
            await handle.result(timeout=20)


async def test_steps_of_items_are_cancelled_with_the_flow(app: App, serve: Serve) -> None:
    began = asyncio.Event()

    @app.task
    async def find() -> list[int]:
        return [1, 2, 3]

    @app.task
    async def endless(n: int) -> int:
        began.set()
        await asyncio.Event().wait()
        return n

    async with serve():
        handle = await chain(find.step(), each(endless.step())).enqueue()
        async with asyncio.timeout(20):
            await began.wait()
        assert await handle.cancel()
        info = await eventually(
            handle.info,
            lambda info: all(step.state == "cancelled" for step in info.steps if "." in step.id),
        )
    assert info.state is FlowState.CANCELLED
    assert len(info.steps) == 5


async def test_many_who_make_steps_of_the_same_items_make_them_once(app: App, serve: Serve) -> None:
    runs = Counter[int]()

    @app.task
    async def find() -> list[int]:
        return list(range(20))

    @app.task
    async def note(n: int) -> int:
        runs[n] += 1
        return n

    handle = await chain(find.step(), each(note.step())).enqueue()
    flows: Any = handle._connections.flows
    assert await flows.done(handle.id, "0", b"[%s]" % b",".join(b"%d" % n for n in range(20))) == "DONE"
    definitions = [b'{"type":"note","text":"{\\"n\\":%d}"}' % n for n in range(20)]
    answers = await asyncio.gather(*(flows.expand(handle.id, "1", definitions) for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]
    async with serve(), serve():
        assert await handle.result(timeout=20) == list(range(20))
        assert await handle.progress() == (22, 22)
    assert runs == dict.fromkeys(range(20), 1)


async def test_who_comes_late_does_not_take_items_for_done_whose_steps_were_just_made(
    app: App, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.task
    async def find() -> list[int]:
        return [7]

    @app.task
    async def same(n: int) -> int:
        return n

    handle = await chain(find.step(), each(same.step())).enqueue()
    connections: Any = handle._connections
    flows = connections.flows
    assert await flows.done(handle.id, "0", b"[7]") == "DONE"
    seen = await flows.ready(handle.id)
    await advance(connections, handle.id)
    once = iter([seen, []])

    async def stale(flow: str) -> Any:
        return next(once)

    with monkeypatch.context() as patch:
        patch.setattr(flows, "ready", stale)
        await advance(connections, handle.id)
    async with serve():
        assert await handle.result(timeout=20) == [7]


async def test_an_eager_app_takes_items_one_by_one(app: App) -> None:
    @app.task
    async def find() -> list[int]:
        return [1, 2]

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    with app.eager():
        handle = await chain(find.step(), each(double.step())).enqueue()
        assert await handle.result() == [2, 4]


async def test_only_single_steps_that_take_something_can_be_done_for_each(app: App) -> None:
    @app.task
    async def double(n: int) -> int:
        return 2 * n

    with pytest.raises(InvalidOptionError, match="leave an argument out"):
        each(double.step(1))
    with pytest.raises(InvalidOptionError, match="a single step"):
        each(chain(double.step(), double.step()))
    with pytest.raises(InvalidOptionError, match="flows and steps"):
        each(Task("double"))  # type: ignore[arg-type]  # that is the point
    with pytest.raises(InvalidOptionError, match="an argument is missing"):
        await each(double.step()).enqueue()  # type: ignore[misc]  # that is the point
