"""`asynq-py worker` and `scheduler` of an App."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynq_py import Client, Inspector, Task, TaskInfo, TaskState
from tests.cli.program import Program
from tests.cli.test_worker import ended
from tests.eventually import eventually

MODULE = """
from asynq_py import App

app = App(retention=60)


@app.task(queue="sums", executor="process")
def double(n: int) -> int:
    return 2 * n


@app.cron("@every 1s", retention=0)
async def beat() -> None: ...


def make_app():
    return app
"""


@pytest.fixture
def app(run: Program) -> Path:
    path = run.folder / "shop.py"
    path.write_text(MODULE)
    return path


@pytest.mark.parametrize("name", ["app", "make_app"])
async def test_an_app_is_served_from_all_of_its_queues(
    run: Program, app: Path, client: Client, inspector: Inspector, name: str
) -> None:
    async def look() -> TaskInfo:
        return await inspector.task_info("sums", "a")

    await client.enqueue(Task("double", {"n": 4}), queue="sums", task_id="a", retention=60)
    async with run.running("worker", f"shop:{name}", "-c", "3") as process:
        done = await eventually(look, lambda info: info.state is TaskState.COMPLETED)
        (server,) = await inspector.servers()
        await ended(process)

    assert done.result == b"8"
    assert (server.concurrency, server.queues) == (3, {"default": 1, "sums": 1})


@pytest.mark.parametrize("name", ["app", "make_app"])
async def test_the_schedule_of_an_app_is_kept(
    run: Program, app: Path, inspector: Inspector, name: str
) -> None:
    async with run.running("scheduler", f"shop:{name}") as process:
        (entry,) = await eventually(inspector.scheduler_entries)
        await ended(process)

    assert (entry.type, entry.spec) == ("beat", "@every 1s")
