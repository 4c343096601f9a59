"""`asynq-py metrics`."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import Process

import httpx
import pytest

from asynq_py import Client, Server, Task
from tests.cli.program import Program


async def _address(process: Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(30):
        told = (await process.stderr.readline()).decode()
    found = re.fullmatch(r"serving metrics at (http://127\.0\.0\.1:\d+/metrics)\n", told)
    assert found, told
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_metrics_are_served_until_a_signal(
    run: Program, filled: Server, client: Client, number: signal.Signals
) -> None:
    await client.enqueue(Task("t"), queue="other")
    arguments = ("--host", "127.0.0.1", "--port", "0", "--interval", "0.2", "-q", "default")
    async with run.running("metrics", *arguments) as process:
        address = await _address(process)
        async with httpx.AsyncClient() as web:
            text = (await web.get(address)).text
        process.send_signal(number)
        async with asyncio.timeout(20):
            assert await process.wait() == 0

    assert 'asynq_queue_size{queue="default"} 7.0' in text
    assert 'asynq_tasks_enqueued_total{queue="default",state="archived"} 1.0' in text
    assert 'queue="other"' not in text


async def test_a_port_that_is_taken_is_one_line(run: Program) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = await run.fails("metrics", "--host", "127.0.0.1", "--port", f"{port}", code=1)
    assert line == f"asynq-py: cannot listen at 127.0.0.1:{port}: Address already in use"


def test_without_its_package_it_says_in_one_line_what_to_install() -> None:
    look = (
        "import sys\nsys.modules['prometheus_client'] = None\nsys.argv[1:] = ['metrics']\n"
        "from asynq_py.cli.entry import main\nmain()"
    )
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=40)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert 'pip install "asynq-py[prometheus]"' in line
