"""What a type checker must accept of flows, and, in the lines that end in `# E`, must refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from asynq_py import App, Flow, FlowFailure, FlowHandle, Step, Task, chain, each, gather, previous

app = App("redis://localhost:6379/0")


@dataclass
class Image:
    path: str


@app.task
async def fetch(url: str) -> Image:
    return Image(url)


@app.task
def resize(image: Image, width: int = 100) -> Image:
    return image


@app.task
async def count(image: Image, *, label: str) -> int:
    return 1


@app.task
async def find() -> list[Image]:
    return []


@app.task
async def total(numbers: list[int]) -> str:
    return str(sum(numbers))


@app.task
async def alert(failure: FlowFailure, channel: str = "#ops") -> None: ...


scan = app.remote("image:scan", payload=Image, result=int)


def steps() -> None:
    assert_type(fetch.step("a"), Step[object, Image])
    assert_type(resize.step(), Step[Image, Image])
    assert_type(resize.step(50), Step[Image, Image])
    assert_type(resize.step(width=50), Step[Image, Image])
    assert_type(count.step(label="x"), Step[Image, int])
    assert_type(scan.step(), Step[Image, int])
    assert_type(total.step([1]), Step[object, str])
    assert_type(count.step(Image("a"), label=previous), Step[object, int])
    assert_type(Step.of(Task("t")), Step[object, Any])
    fetch.step(1)  # E
    resize.step(width="wide")  # E
    count.step()  # E
    count.step(colour="red")  # E
    Step.of(fetch.step("a"))  # E


def flows() -> None:
    assert_type(chain(fetch.step("a"), resize.step(), count.step(label="x")), Flow[object, int])
    both = gather(count.step(label="x"), count.step(label="y"))
    assert_type(both, Flow[Image, list[int]])
    assert_type(chain(fetch.step("a"), both, total.step()), Flow[object, str])
    assert_type(fetch.step("a").then(both).then(total.step()), Flow[object, str])
    assert_type(gather(scan.step(Image("a")), scan.step(Image("b"))).then(total.step()), Flow[object, str])
    assert_type(chain(find.step(), each(resize.step(50))), Flow[object, list[Image]])
    assert_type(chain(find.step(), each(scan.step()), total.step()), Flow[object, str])
    chain(fetch.step("a"), each(resize.step()))  # E
    chain(find.step(), each(total.step()))  # E
    each(resize.task(Image("a")))  # E
    chain(fetch.step("a"), total.step())  # E
    fetch.step("a").then(total.step())  # E
    gather(fetch.step("a"), fetch.step("b")).then(resize.step())  # E
    chain(fetch.step("a"), fetch.task("b"))  # E


async def ends() -> None:
    flow = chain(fetch.step("a"), resize.step())
    handle = (
        await flow.on_failure(alert.step()).on_archive(alert.step("#dev")).on_success(resize.step()).enqueue()
    )
    assert_type(handle, FlowHandle[Image])
    assert_type(await handle.result(timeout=10), Image)
    assert_type(await app.enqueue(flow, name="nightly", on_error="cancel"), FlowHandle[Image])
    await flow.enqueue(on_error="stop")  # E
    await resize.step().enqueue()  # E
    await app.enqueue(resize.step())  # E
    flow.on_success(total.step())  # E
