"""The program itself: help, versions, how errors are told, and what it looks like."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from asyncio.subprocess import PIPE

import pytest

import asynq_py
from asynq_py import Client, Task
from tests.cli.program import PATIENCE, PROGRAM, Program

NOBODY = "Nobody is here to answer: say --yes, or look with --dry-run"


async def test_it_says_its_version_and_helps(bare: Program) -> None:
    assert (await bare("--version")).out == f"asynq-py {asynq_py.__version__}\n"
    assert (await bare("-h")).lines[0] == "Usage: asynq-py [OPTIONS] COMMAND [ARGS]..."
    assert (await bare("queue", "rm", "--help")).lines[0] == "Usage: asynq-py queue rm [OPTIONS] QUEUE..."


def test_python_m_asynq_py_does_the_same() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "asynq_py", "--version"],
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert (ended.stdout, ended.stderr) == (f"asynq-py {asynq_py.__version__}\n", "")


@pytest.mark.parametrize("arguments", [("--help",), ("task", "delete", "--help"), ("worker", "--help")])
def test_help_waits_for_no_driver_and_draws_no_tables(arguments: tuple[str, ...]) -> None:
    look = (
        "import sys\nfrom asynq_py.cli.program import program\n"
        f"program.main({list(arguments)!r}, prog_name='asynq-py', standalone_mode=False)\n"
        "print('loaded:', *sorted({'redis', 'google', 'anyio', 'rich', 'watchfiles'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=40)
    assert (ended.stdout.splitlines()[-1].strip(), ended.stderr) == ("loaded:", "")


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_its_packages_it_says_in_one_line_what_to_install(package: str) -> None:
    look = f"import sys\nsys.modules[{package!r}] = None\nfrom asynq_py.cli.entry import main\nmain()"
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=40)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "asynq-py: the command line needs packages of its own: pip install 'asynq-py[cli]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("quack",), "asynq-py: No such command 'quack'. (see asynq-py --help)"),
        (("queue", "quack"), "asynq-py queue: No such command 'quack'. (see asynq-py queue --help)"),
        (("task", "ls", "--page", "0"), "asynq-py task ls: Invalid value for '--page': 0 is not in the range "
         "x>=1. (see asynq-py task ls --help)"),
    ],
)  # fmt: skip
async def test_a_mistake_is_one_line_that_leads_to_the_help(
    bare: Program, arguments: tuple[str, ...], line: str
) -> None:
    assert await bare.fails(*arguments, code=2) == line


@pytest.mark.parametrize(
    "arguments",
    [
        ("stats",), ("queue", "ls"), ("task", "ls"), ("server", "ls"), ("cron", "ls"), ("group", "ls"),
        ("task", "enqueue", "t"), ("task", "delete", "a", "--yes"),
    ],
)  # fmt: skip
async def test_a_dead_redis_is_one_line(bare: Program, arguments: tuple[str, ...]) -> None:
    line = await bare.fails(*arguments, "--redis", "redis://:secret@127.0.0.1:1/0", code=3)
    assert line.startswith("asynq-py: Redis at 127.0.0.1:1/0 is not reachable: ")
    assert "secret" not in line


@pytest.mark.parametrize("url", ["nonsense", "http://:secret@h", "redis://:secret@h:port"])
async def test_a_wrong_url_is_one_line_that_hides_it(bare: Program, url: str) -> None:
    line = await bare.fails("stats", "--redis", url, code=2)
    assert line.startswith("asynq-py: redis=")
    assert "secret" not in line


async def test_a_traceback_comes_with_debug_and_only_then(bare: Program) -> None:
    answer = await bare("stats", "--redis", "redis://127.0.0.1:1/0", "--debug", code=3)
    assert "Traceback (most recent call last)" in answer.err
    assert answer.err.splitlines()[-1].startswith("asynq-py: Redis at 127.0.0.1:1/0 is not reachable: ")


async def test_there_are_colours_on_a_terminal_and_none_elsewhere_or_with_no_color(
    run: Program, client: Client
) -> None:
    await client.enqueue(Task("t"))

    assert "\x1b[1m" in (await run.on_terminal("queue", "ls")).out
    assert "\x1b" not in (await run.on_terminal("queue", "ls", NO_COLOR="1")).out
    assert "\x1b" not in (await run("queue", "ls")).out


async def test_nothing_is_cut_where_there_is_no_terminal(run: Program, client: Client) -> None:
    await client.enqueue(Task("t", "x" * 500), task_id="a" * 100)

    shown = (await run("task", "ls")).out

    assert "x" * 500 in shown
    assert "a" * 100 in shown


async def test_a_reader_that_leaves_early_is_no_error(run: Program, client: Client) -> None:
    await client.enqueue_many([Task("t", "x" * 500) for _ in range(2000)])

    async with run.running("task", "ls", "--size", "2000") as process:
        assert process.stdout is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  # as `head` does
        assert process.stderr is not None
        assert await process.stderr.read() == b""


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        ("queue ls >&-", 0, ""),
        ("queue rm q --force <&-", 2, f"asynq-py: Remove q with 1 task? {NOBODY}\n"),
        ("quack 2>&-", 2, ""),
        ("queue ls >/dev/full", 1, "asynq-py: [Errno 28] No space left on device\n"),
        ("queue ls --json >/dev/full", 1, "asynq-py: [Errno 28] No space left on device\n"),
    ],
)  # fmt: skip
async def test_what_the_shell_has_closed_or_filled_is_no_traceback(
    run: Program, client: Client, command: str, code: int, err: str
) -> None:
    await client.enqueue(Task("t"), queue="q")
    process = await asyncio.create_subprocess_shell(
        f"exec {PROGRAM} {command}", cwd=run.folder, env=run.environment({}), stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(PATIENCE):
        _, told = await process.communicate()
    assert (process.returncode, told.decode()) == (code, err)


async def test_what_the_encoding_of_the_terminal_lacks_is_written_out(run: Program, client: Client) -> None:
    await client.enqueue(Task("t", "Zoë ☃"), task_id="a")

    shown = await run("task", "ls", PYTHONIOENCODING="ascii")
    told = await run("task", "ls", "--json", PYTHONIOENCODING="ascii")

    assert "Zo\\xeb \\u2603" in shown.out
    assert told.json["tasks"][0]["payload"] == "Zoë ☃"


@pytest.mark.parametrize("command", ["task inspect", "task cancel", "queue inspect", "flow inspect"])
async def test_an_argument_that_is_no_text_is_one_line(run: Program, command: str) -> None:
    answer = await run(*command.split(), "\udcff", code=None)  # the byte ff

    assert answer.code in (1, 2)
    assert len(answer.err.splitlines()) == 1
    assert "Traceback" not in answer.err
