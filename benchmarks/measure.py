"""One turn: an empty Redis, a process that answers, its answer or what went wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from benchmarks.adapter import Answer, Request
from benchmarks.candidates import Candidate
from benchmarks.redis_process import url_of

ROOT = Path(__file__).parent.parent
LONGEST = 60.0  # seconds one measurement may take, besides the limit it sets itself


@dataclass(frozen=True)
class Turn:
    """One turn of one system at one figure. Either `answer` or `error` is there."""

    turn: int
    figure: str
    system: str
    answer: Answer | None
    error: str = ""


def measure(request: Request, candidate: Candidate, server: redis.Redis) -> Answer | str:
    """Its answer, or what went wrong."""
    if candidate.failure:
        return candidate.failure
    server.flushall()
    text = json.dumps(asdict(request) | {"url": url_of(server)})
    process = subprocess.Popen(
        [*candidate.command, text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,  # so that what it has started ends with it
    )
    limit = LONGEST + request.limit
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        return f"not done within {limit:.0f} s"
    finally:
        _end(process)
    lines = out.split("\n")
    found = [line for line in lines if line.startswith('{"tasks"')]
    if not found:
        return f"ended with {process.returncode}: {err.strip()[-300:]}"
    return Answer(**json.loads(found[-1]))


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
