"""`asynq-py dash`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py.dash.command import place_of
from tests.cli.program import Program


async def test_it_runs_in_a_terminal_until_q(seeded: Redis, redis_url: str, tmp_path: Path) -> None:
    program = Program(tmp_path, {"ASYNQ_REDIS_URL": redis_url})
    shown = (await program.on_terminal("dash", "--interval", "0.2", "--read-only", typed="q")).out
    assert "Queues" in shown
    assert "Unpause" not in shown


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
