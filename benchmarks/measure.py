"""Measures in turns (A B A B …), so that a machine whose speed drifts is unfair to nobody."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import redis

from benchmarks.adapter import Answer
from benchmarks.plan import Candidate, Figure
from benchmarks.redis_process import cpu_seconds, url_of

ROOT = Path(__file__).parent.parent
LONGEST = 100.0  # seconds one measurement may take


@dataclass(frozen=True)
class Measured:
    """One turn of one system. `redis_cpu`: seconds the server was busy, filling the queue included."""

    figure: Figure
    candidate: Candidate
    answer: Answer
    redis_cpu: float


class FailedError(Exception):
    """A system could not be measured."""


def in_turns(
    figure: Figure, candidates: tuple[Candidate, ...], server: redis.Redis, rounds: int
) -> Iterator[Measured]:
    """Measure one figure on every system, `rounds` times.

    Raises: FailedError.
    """
    for _ in range(rounds):
        for candidate in candidates:
            server.flushall()
            before = cpu_seconds(server)
            answer = _ask(figure, candidate, url_of(server))
            yield Measured(figure, candidate, answer, cpu_seconds(server) - before)


def _ask(figure: Figure, candidate: Candidate, url: str) -> Answer:
    request = json.dumps(asdict(replace(figure.request, url=url)))
    try:
        done = subprocess.run(
            [candidate.python, "-m", candidate.module, request],
            capture_output=True,
            text=True,
            timeout=LONGEST,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"{candidate.name}, {figure.title}: not done within {LONGEST:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise FailedError(f"{candidate.name}, {figure.title}: {error.stderr.strip()[-500:]}") from None
    return Answer(**json.loads(done.stdout.splitlines()[-1]))
