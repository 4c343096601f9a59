"""Rules for unique tasks hold, too, where a worker in Go runs the tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from asynq_py import App, TaskState
from tests.eventually import eventually
from tests.interop.peer import GoPeer

pytestmark = pytest.mark.timeout(60, func_only=True)


@dataclass
class Script:
    """What the handler of the Go worker does (tests/interop/script.py)."""

    do: str
    text: str = ""


@pytest.mark.parametrize("until", ["success", "end"])
async def test_a_worker_in_go_frees_the_lock_of_a_key_when_it_has_succeeded(go: GoPeer, until: Any) -> None:
    app = App(go.url)
    play = app.remote(
        "play",
        payload=Script,
        unique_key="{payload.text}",
        unique_until=until,
        on_conflict="return",
        wait=True,
    )

    async with app:
        first = await play.enqueue(Script("succeed", "a"))
        assert (await play.enqueue(Script("result", "a"))).id == first.id
        async with go.serve():
            await first.result(timeout=20)
        assert (await play.enqueue(Script("result", "a"))).is_new


@pytest.mark.parametrize(("until", "is_free"), [("success", False), ("end", True)])
async def test_a_task_that_go_archived_keeps_others_off_or_not(go: GoPeer, until: Any, is_free: bool) -> None:
    app = App(go.url)
    play = app.remote(
        "play", payload=Script, unique_key="one", unique_until=until, on_conflict="return", max_retry=0
    )

    async with app:
        async with go.serve():
            first = await play.enqueue(Script("fail"))
            await eventually(first.status, lambda state: state is TaskState.ARCHIVED)
        assert (await play.enqueue(Script("succeed"))).is_new is is_free


async def test_until_its_start_in_go_one_may_wait_while_one_runs(go: GoPeer) -> None:
    app = App(go.url)
    play = app.remote("play", payload=Script, unique_key="one", unique_until="start", on_conflict="return")

    async with app:
        first = await play.enqueue(Script("wait"))
        async with go.serve():
            await eventually(first.status, lambda state: state is TaskState.ACTIVE)
            waiting = await play.options(process_in=3600).enqueue(Script("succeed"))
            assert waiting.is_new
            assert (await play.enqueue(Script("succeed"))).id == waiting.id


async def test_a_lock_by_payload_binds_go(go: GoPeer) -> None:
    app = App(go.url)
    play = app.remote("play", payload=Script, unique_until="end")

    async with app:
        handle = await play.enqueue(Script("succeed"))
        payload = (await handle.info()).payload
        with pytest.raises(Exception, match="task already exists"):
            await go.enqueue("play", payload, unique=60)
