"""What a type checker must accept, and, in the lines that end in `# E`, must refuse."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

from asynq_py import App, EnqueueError, Router, Task, TaskHandle

app = App("redis://localhost:6379/0", retention=60)
router = Router("images", queue="images")
app.include(router)


@app.task(queue="emails", max_retry=5, timeout=30)
async def send_welcome(user_id: int, *, template: str = "hello") -> str:
    return f"{template} {user_id}"


@app.task
async def bare(n: int) -> None: ...


@router.task
def resize(path: str, width: int = 100) -> bytes:
    return b""


@router.task(executor="process", timeout=timedelta(minutes=1))
def crunch(n: int) -> int:
    return n


@app.cron("0 9 * * mon-fri", timezone="Europe/Paris", max_retry=2)
async def report(day: str = "today") -> int:
    return len(day)


@dataclass
class Order:
    number: int


place_order = app.remote("order:place", payload=Order, result=str)
anything = app.remote("any:thing")


async def enqueue() -> None:
    handle = await send_welcome.enqueue(42, template="hi")
    assert_type(handle, TaskHandle[str])
    assert_type(await handle.result(timeout=10), str)
    assert_type(await send_welcome.options(process_in=60, wait=True).enqueue(42), TaskHandle[str])
    assert_type(send_welcome.task(42), Task)
    assert_type(await bare.enqueue(1), TaskHandle[None])
    assert_type(await resize.enqueue("a", width=2), TaskHandle[bytes])
    assert_type(await (await crunch.enqueue(3)).result(), int)
    assert_type(await report.enqueue(), TaskHandle[int])
    many = await send_welcome.enqueue_many(send_welcome.task(n) for n in range(3))
    assert_type(many, list[TaskHandle[str] | EnqueueError])

    await send_welcome.enqueue("42")  # E
    await send_welcome.enqueue()  # E
    await send_welcome.enqueue(42, "hi")  # E
    await send_welcome.enqueue(42, colour="red")  # E
    await send_welcome.options(process_in=60).enqueue("42")  # E
    send_welcome.task("42")  # E
    number: int = await handle.result()  # E
    await bare.enqueue(None)  # E
    await resize.enqueue("a", width="2")  # E
    await report.enqueue(1)  # E
    assert number


async def call() -> None:
    await assert_type(send_welcome(42), Coroutine[Any, Any, str])
    assert_type(await send_welcome(42), str)
    assert_type(resize("a"), bytes)
    assert_type(await report(), int)

    await send_welcome("42")  # E
    resize(1)  # E
    await resize("a")  # E


async def elsewhere() -> None:
    assert_type(await place_order.enqueue(Order(1)), TaskHandle[str])
    assert_type(await anything.enqueue({"a": 1}), TaskHandle[Any])

    await place_order.enqueue({"number": 1})  # E
    await place_order.enqueue()  # E
    place_order(Order(1))  # E


def options() -> None:
    send_welcome.options(queue="low", max_retry=0, retention=timedelta(days=1), headers={"a": "b"})
    app.task(timeout="5m", unique="1h")

    send_welcome.options(colour="red")  # E
    send_welcome.options(max_retry="5")  # E
    app.task(timeout=[5])  # E
    app.task(executor="fork")  # E
    app.cron(5)  # E
    app.server(concurrency="many")  # E
