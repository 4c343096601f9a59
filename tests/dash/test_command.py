"""`asynq-py dash`."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py.dash.command import place_of
from tests.cli.program import PROGRAM, Program
from tests.eventually import eventually


async def test_it_runs_in_a_terminal_until_q(seeded: Redis, redis_url: str, tmp_path: Path) -> None:
    program = Program(tmp_path, {"ASYNQ_REDIS_URL": redis_url})
    arguments = ("dash", "--interval", "0.2", "--read-only")
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    shown = b""

    async def read_on() -> bytes:
        nonlocal shown
        shown += await asyncio.to_thread(os.read, ours, 65536)
        return shown

    try:
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), *arguments, cwd=tmp_path, stdin=its, stdout=its, stderr=its,
            env=program.environment({"TERM": "xterm-256color"}),
        )  # fmt: skip
        await eventually(read_on, lambda seen: b"5 queues" in seen)
        os.write(ours, b"q")
        await eventually(read_on, lambda seen: b"\x1b[?1049l" in seen)  # back to what was there before
        assert await process.wait() == 0
    finally:
        os.close(its)
        os.close(ours)
    assert b"Filter" in shown
    assert b"Unpause" not in shown


async def test_without_a_terminal_it_is_one_line(tmp_path: Path) -> None:
    line = await Program(tmp_path).fails("dash", code=2)
    assert line == "asynq-py: the dashboard needs a terminal; `asynq-py stats --watch` goes without"


def test_without_its_package_it_says_in_one_line_what_to_install() -> None:
    look = (
        "import sys\nsys.modules['textual'] = None\nsys.argv[1:] = ['dash']\n"
        "from asynq_py.cli.entry import main\nmain()"
    )
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=40)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert 'pip install "asynq-py[dash]"' in line


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (None, "redis://localhost:6379/0"),
        ("rediss://ada:secret@host:6380/2?password=secret", "rediss://host:6380/2"),
        ("redis-sentinel://:secret@a:1,b:2/main", "redis-sentinel://a:1,b:2/main"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_the_title_says_where_redis_is_but_no_password(url: str | None, place: str) -> None:
    assert place_of(url) == place
