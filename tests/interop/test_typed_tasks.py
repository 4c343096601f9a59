"""A typed task is a plain JSON object to Go, both ways."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest

from asynq_py import App
from tests.app.test_app import serving
from tests.interop.peer import GoPeer
from tests.interop.script import does

pytestmark = pytest.mark.timeout(60, func_only=True)

ID = UUID("12345678-1234-5678-1234-567812345678")


@dataclass
class Image:
    id: UUID
    taken_at: datetime
    tags: list[str]


@dataclass
class Script:
    """What the handler of the Go worker does (tests/interop/script.py)."""

    do: str
    text: str = ""


async def test_a_go_worker_reads_the_arguments_as_an_object(any_go: GoPeer) -> None:
    app = App(any_go.url)

    @app.task(name="image:resize")
    async def resize(image: Image, *, width: int = 100) -> None: ...

    async with app, any_go.serve() as worker:
        handle = await resize.enqueue(Image(ID, datetime(2026, 1, 2, tzinfo=UTC), ["a"]))
        started = await worker.events.wait("start", handle.id)

    assert started.type == "image:resize"
    assert json.loads(started.payload) == {
        "image": {"id": str(ID), "taken_at": "2026-01-02T00:00:00+00:00", "tags": ["a"]},
        "width": 100,
    }


async def test_a_handler_in_go_is_called_like_one_in_python_and_its_result_comes_back(go: GoPeer) -> None:
    app = App(go.url)
    play = app.remote("play", payload=Script, result=list[int], wait=True)

    async with app, go.serve():
        handle = await play.enqueue(Script("result", "[1,2]"))
        assert await handle.result(timeout=20) == [1, 2]


async def test_a_task_of_go_runs_in_a_typed_function(any_go: GoPeer) -> None:
    app = App(any_go.url)

    @app.task(name="play")
    async def play(script: Script) -> str:
        return script.text

    async with app, serving(app):
        await any_go.enqueue(
            "play", does("succeed", text="from Go").replace(b', "fail": 0', b""), task_id="a", retention=60
        )
        assert await play.handle("a").result(timeout=20) == "from Go"
