"""`python -m benchmarks.supervised`: one, two and four worker processes under a Supervisor.

Two kinds of tasks: such that do nothing, where Redis is the limit, and such that compute for a millisecond,
as code in Python does, where the processors are. Counted by what Redis says was processed; started and ended
by signals, as in production. Writes `benchmarks/results/supervised.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import redis

from asynq_py import ActiveTask, Server, Supervisor, SyncClient, Task
from asynq_py.wire.keys import SERVERS, QueueKeys
from benchmarks import redis_process

PAGE: Final = Path(__file__).parent / "results" / "supervised.md"
PROCESSES: Final = (1, 2, 4)
KINDS: Final = {"nothing": 40_000, "compute": 4_000}  # kind of handler → tasks of a turn
COMPUTE: Final = 0.001  # seconds of a processor that a task takes
CONCURRENCY: Final = 100
PATIENCE: Final = 60.0
LOOK: Final = 0.005
URL, KIND = "BENCHMARK_REDIS", "BENCHMARK_KIND"


@dataclass(frozen=True, slots=True)
class Turn:
    """`start`, `end`: seconds until all processes had signed on, and from TERM until none was left."""

    start: float
    rate: float
    end: float


async def nothing(task: ActiveTask) -> None: ...


async def compute(task: ActiveTask) -> None:
    ends_at = time.thread_time() + COMPUTE
    while time.thread_time() < ends_at:
        pass


def make_server() -> Server:
    """Called in each process."""
    handler = {"nothing": nothing, "compute": compute}[os.environ[KIND]]
    return Server(os.environ[URL], handler, concurrency=CONCURRENCY)


def measure(server: redis.Redis, kind: str, processes: int, tasks: int) -> Turn:
    """Start the processes, let them work off a queue that was filled before, end them."""
    server.flushall()
    url, keys = redis_process.url_of(server), QueueKeys("default")
    server.set(keys.paused, 1)
    with SyncClient(url) as client:
        client.enqueue_many([Task("t", b"{}") for _ in range(tasks)])
    began = time.perf_counter()
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.supervised", "--supervise", str(processes)],
        env={**os.environ, URL: url, KIND: kind},
        start_new_session=True,
    )
    try:
        _until(lambda: server.zcard(SERVERS) == processes, worker)
        start = time.perf_counter() - began
        server.delete(keys.paused)
        began = time.perf_counter()
        _until(lambda: int(server.get(keys.processed) or 0) >= tasks, worker)
        rate = tasks / (time.perf_counter() - began)
    finally:
        began = time.perf_counter()
        worker.send_signal(signal.SIGTERM)
        worker.wait(PATIENCE)
    return Turn(start, rate, time.perf_counter() - began)


def _until(holds: Callable[[], bool], worker: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while not holds():
        if worker.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError("the worker processes ended, or do nothing")
        time.sleep(LOOK)


def report(turns: dict[tuple[str, int], list[Turn]], about: str) -> str:
    """The table as Markdown."""
    lines = [
        "# Several processes under a supervisor",
        "",
        f"{about} Each process runs {CONCURRENCY} tasks at once. Medians.",
        "",
        "| tasks | processes | tasks/s | times one | all have signed on after, s | ended after TERM, s |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    names = {"nothing": "no-op", "compute": f"{COMPUTE * 1000:g} ms of a processor"}
    for (kind, processes), measured in turns.items():
        rate = median(turn.rate for turn in measured)
        alone = median(turn.rate for turn in turns[kind, PROCESSES[0]])
        start, end = (median(values) for values in zip(*((t.start, t.end) for t in measured), strict=True))
        lines.append(
            f"| {names[kind]} | {processes} | {rate:,.0f} | {rate / alone:.2f} | {start:.2f} | {end:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supervised", description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the tasks (1.0)")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--supervise", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.supervise is not None:
        logging.disable()
        sys.exit(asyncio.run(Supervisor(make_server, processes=given.supervise).serve()))
    turns: dict[tuple[str, int], list[Turn]] = {(k, n): [] for k in KINDS for n in PROCESSES}
    with redis_process.running() as server:
        for _ in range(given.turns):
            for kind, processes in turns:
                turn = measure(server, kind, processes, max(1, int(KINDS[kind] * given.share)))
                turns[kind, processes].append(turn)
                print(f"{kind}, {processes} processes: {turn.rate:,.0f} tasks/s", flush=True)
        version = server.info("server")["redis_version"]
    about = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} processors, with Redis {version} on them."
    )
    text = report(turns, about)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, "utf-8")
    print(f"\n{text}\nwritten to {given.out}")


if __name__ == "__main__":
    main()
