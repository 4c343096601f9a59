"""`asynq-py worker` and `scheduler`."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task
from tests.books import Books, books_become
from tests.cli.program import Program
from tests.eventually import eventually

DEAD = "redis://127.0.0.1:1/0"
MODULE = """
import asyncio

from asynq_py import PeriodicTask, PeriodicTaskManager, Scheduler, Server, ServeMux, Task

mux = ServeMux()


@mux.handler("t")
async def answer(task):
    await task.write_result(b"VERSION")


@mux.handler("wait")
async def wait(task):
    await asyncio.sleep(3600)


server = Server(None, mux, queues={"default": 3, "low": 1}, concurrency=4)
dead = Server("redis://127.0.0.1:1/0", mux)
scheduler = Scheduler()
scheduler.register("@every 1s", Task("t"))


def make_server():
    return Server(None, mux, concurrency=7)


def make_scheduler():
    return scheduler


async def list_tasks():
    return [PeriodicTask("@every 1s", Task("t"))]


manager = PeriodicTaskManager(None, list_tasks)


class Settings:
    worker = server


def broken():
    return {}["host"]


number = 3
"""


@pytest.fixture
def app(run: Program) -> Path:
    """A user's module, `tasks`, in the folder where the program runs."""
    path = run.folder / "tasks.py"
    path.write_text(MODULE)
    return path


async def ended(process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGTERM) -> str:
    """End it in an orderly way. Returns what it logged."""
    process.send_signal(number)
    async with asyncio.timeout(30):
        _, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return err.decode()


@pytest.mark.parametrize(
    ("name", "concurrency", "queues"),
    [
        ("server", 4, {"default": 3, "low": 1}),
        ("make_server", 7, {"default": 1}),
        ("Settings.worker", 4, {"default": 3, "low": 1}),
    ],
)
async def test_a_server_or_what_makes_one_is_served(
    run: Program, app: Path, inspector: Inspector, name: str, concurrency: int, queues: dict[str, int]
) -> None:
    async with run.running("worker", f"tasks:{name}") as process:
        (server,) = await eventually(inspector.servers)
        log = await ended(process)

    assert (server.pid, server.concurrency, server.queues) == (process.pid, concurrency, queues)
    assert "INFO asynq_py.server.server: ended" in log


async def test_tasks_are_run_until_a_signal_hands_them_back(
    run: Program, app: Path, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t"), task_id="a", retention=60)
    await client.enqueue(Task("wait"), task_id="b")
    async with run.running("worker", "tasks:server", "--shutdown-timeout", "100ms") as process:
        await books_become(redis, Books(active=("b",), completed={"a"}, processed=1))
        await ended(process, signal.SIGINT)

    await books_become(redis, Books(pending=("b",), completed={"a"}, processed=1))


async def test_what_the_command_line_says_wins(
    run: Program, app: Path, redis_url: str, inspector: Inspector
) -> None:
    options = ("-c", "9", "--queues", "a=6,b", "--strict-priority", "--log-level", "warning")
    async with run.running("worker", "tasks:dead", *options, "--redis", redis_url) as process:
        (server,) = await eventually(inspector.servers)
        log = await ended(process)

    assert (server.concurrency, server.queues, server.strict_priority) == (9, {"a": 6, "b": 1}, True)
    assert log == ""


async def test_the_config_file_says_where_redis_is_and_what_to_serve(
    bare: Program, redis_url: str, inspector: Inspector
) -> None:
    (bare.folder / "tasks.py").write_text(MODULE)
    (bare.folder / "asynq-py.toml").write_text(
        f'redis = "{redis_url}"\n[worker]\npath = "tasks:server"\nlog-level = "error"\nqueues = {{x = 2}}'
    )
    async with bare.running("worker", ASYNQ_REDIS_URL="") as process:
        (server,) = await eventually(inspector.servers)
        log = await ended(process)

    assert (server.queues, log) == ({"x": 2}, "")


async def test_several_processes_serve_and_a_dead_one_is_replaced(
    run: Program, app: Path, inspector: Inspector
) -> None:
    async def pids() -> set[int]:
        return {server.pid for server in await inspector.servers()}

    async with run.running("worker", "tasks:server", "-p", "2", "-c", "3") as process:
        first = await eventually(pids, lambda seen: len(seen) == 2)
        assert {server.concurrency for server in await inspector.servers()} == {3}
        assert process.pid not in first
        killed = first.pop()
        os.kill(killed, signal.SIGKILL)
        await eventually(pids, lambda seen: len(seen - {killed}) == 2)
        await ended(process)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("tasks", "'tasks' is no module and object such as myproject.tasks:server"),
        ("quack:server", "there is no module 'quack', neither here nor installed"),
        ("tasks.quack:server", "there is no module 'tasks.quack', neither here nor installed"),
        ("tasks:quack", "module 'tasks' has no 'quack'"),
        (
            "tasks:number",
            "tasks:number is int, and not a Server, an App, or a function without arguments that returns one",
        ),
        ("tasks:broken", "tasks:broken fails: KeyError: 'host' (tasks.py, line 45)"),
        ("tasks:make_scheduler", "tasks:make_scheduler is Scheduler, and not a Server"),
        (
            "needs:server",
            "module 'needs' cannot be imported: ModuleNotFoundError: No module named 'quack' (needs.py,",
        ),
        ("wrong:server", "module 'wrong' cannot be imported: SyntaxError: invalid syntax (wrong.py, line 1)"),
        ("ends:server", "module 'ends' cannot be imported: SystemExit: 3 (ends.py, line 2)"),
    ],
)
async def test_a_wrong_path_or_a_bad_import_is_one_line(
    run: Program, app: Path, path: str, complaint: str
) -> None:
    app.with_name("needs.py").write_text("import quack\n")
    app.with_name("wrong.py").write_text("a b\n")
    app.with_name("ends.py").write_text("import sys\nsys.exit(3)\n")

    line = await run.fails("worker", path, code=2)

    assert line.startswith(f"asynq-py: {complaint}")


async def test_with_several_processes_a_bad_import_is_told_once(run: Program, app: Path) -> None:
    line = await run.fails("worker", "tasks:broken", "-p", "2", code=2)
    assert line.startswith("asynq-py: tasks:broken fails: KeyError: 'host'")


async def test_the_traceback_of_a_bad_import_comes_with_debug(run: Program, app: Path) -> None:
    answer = await run("worker", "tasks:broken", "--debug", code=2)
    assert 'return {}["host"]' in answer.err


async def test_a_lifespan_that_fails_ends_the_start_with_its_reason(run: Program, app: Path) -> None:
    app.with_name("shop.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from asynq_py import App\n\n\n"
        "@asynccontextmanager\n"
        "async def lifespan():\n"
        "    raise KeyError('DATABASE_URL')\n"
        "    yield\n\n\n"
        "app = App(lifespan=lifespan)\n"
    )

    answer = await run("worker", "shop:app", code=1)

    line = "asynq-py: the lifespan failed before the first task: KeyError: 'DATABASE_URL'"
    assert answer.err.splitlines()[-1] == line
    assert "Traceback" not in answer.err


async def test_a_wrong_weight_is_one_line(run: Program, app: Path) -> None:
    line = await run.fails("worker", "tasks:server", "--queues", "a=0", code=2)
    assert "'a=0' is neither a queue nor one with its weight, such as low=1" in line


# -- --reload ------------------------------------------------------------------------------------------------


async def test_a_changed_file_is_served_after_the_running_tasks_have_ended(
    run: Program, app: Path, client: Client, inspector: Inspector, redis: Redis
) -> None:
    async def result(task_id: str) -> bytes | None:
        return (await inspector.task_info("default", task_id)).result

    app.write_text(
        MODULE.replace("await task.write_result", "await asyncio.sleep(1); await task.write_result")
    )
    async with run.running("worker", "tasks:server", "--reload") as process:
        await client.enqueue(Task("t"), task_id="a", retention=60)
        await eventually(lambda: inspector.list_active("default"))
        (before,) = await eventually(inspector.servers)
        app.write_text(MODULE.replace("VERSION", "2"))
        assert await eventually(lambda: result("a")) == b"VERSION"
        assert (await inspector.task_info("default", "a")).retried == 0
        (after,) = await eventually(
            inspector.servers, lambda seen: [s.pid for s in seen] not in ([], [before.pid])
        )
        await client.enqueue(Task("t"), task_id="b", retention=60)
        assert await eventually(lambda: result("b")) == b"2"
        log = await ended(process)

    assert process.pid not in (before.pid, after.pid)
    assert "asynq-py: tasks.py has changed" in log, log
    assert not await inspector.servers()


async def test_a_broken_file_waits_for_the_next_change(run: Program, app: Path, inspector: Inspector) -> None:
    app.write_text("a b")
    async with run.running("worker", "tasks:server", "--reload") as process:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            assert b"cannot be imported: SyntaxError" in await process.stderr.readline()
            assert await process.stderr.readline() == (
                b"asynq-py: the worker has ended; the next change of a file starts another one\n"
            )
        app.write_text(MODULE)
        await eventually(inspector.servers)
        await ended(process)


async def test_a_worker_ends_when_its_reloader_is_killed(
    run: Program, app: Path, inspector: Inspector
) -> None:
    async with run.running("worker", "tasks:server", "--reload") as process:
        await eventually(inspector.servers)
        process.kill()
        await eventually(inspector.servers, lambda seen: not seen)


# -- scheduler -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scheduler", "make_scheduler", "manager"])
async def test_a_scheduler_enqueues_until_a_signal(
    run: Program, app: Path, inspector: Inspector, name: str
) -> None:
    async with run.running("scheduler", f"tasks:{name}") as process:
        await eventually(inspector.queues)
        (entry,) = await eventually(inspector.scheduler_entries)
        await ended(process)

    assert entry.spec == "@every 1s"
    assert not await inspector.scheduler_entries()


async def test_a_file_of_periodic_tasks_is_a_schedule(
    run: Program, client: Client, inspector: Inspector
) -> None:
    (run.folder / "periodic.toml").write_text('[[tasks]]\nspec = "@every 1s"\ntype = "t"\nqueue = "q"\n')
    async with run.running("scheduler", "periodic.toml") as process:
        assert await eventually(inspector.queues) == ["q"]
        await ended(process)

    (run.folder / "periodic.toml").write_text('[[tasks]]\nspec = "@every soon"\ntype = "t"\n')
    assert "@every soon" in await run.fails("scheduler", "periodic.toml", code=1)
    assert "none.toml" in await run.fails("scheduler", "none.toml", code=1)


async def test_a_server_is_no_scheduler(run: Program, app: Path) -> None:
    line = await run.fails("scheduler", "tasks:server", code=2)
    assert line.startswith(
        "asynq-py: tasks:server is Server, and not a Scheduler, a PeriodicTaskManager, an App, or"
    )
