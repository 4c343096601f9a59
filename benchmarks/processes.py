"""Filling the queue, and several worker processes on it. Standard library only."""

from __future__ import annotations

import time
from multiprocessing.sharedctypes import RawArray
from typing import Any

from benchmarks.adapter import Answer, Make, Request, System, payload_of
from benchmarks.apart import FORK, Apart
from benchmarks.probe import Probe, between
from benchmarks.working import Working, run

CHUNK = 1_000  # tasks handed over in one call
CHUNK_BYTES = 16_000_000


def warm_of(request: Request) -> int:
    """Tasks that run before the clock starts: by then every slot has been used."""
    return 50 if request.concurrency == 1 else 200 + 2 * request.concurrency


def fill(make: Make, request: Request) -> Apart:
    """Store what will be drained, in a second process."""

    async def store(system: System) -> None:
        left, payload = request.tasks + warm_of(request) + request.backlog, payload_of(request.size)
        chunk = max(1, min(CHUNK, CHUNK_BYTES // request.size))
        while left > 0:
            await system.store([payload] * min(chunk, left))
            left -= chunk

    return Apart(make, request, store)


def several(make: Make, request: Request) -> Answer:
    """Tasks stored beforehand → all handled by `request.processes` workers, counted from outside."""
    fill(make, request).wait()
    probe = Probe(request.url)
    counts: Any = RawArray("q", request.processes)
    workers = [
        FORK.Process(target=_work, args=(make, request, counts, number), daemon=True)
        for number in range(request.processes)
    ]
    for worker in workers:
        worker.start()
    warm = _wait(counts, warm_of(request), workers)
    first = probe.look()
    handled = _wait(counts, request.tasks + warm_of(request), workers)
    return between(first, probe.look(), handled - warm)


def _wait(counts: Any, enough: int, workers: list[Any]) -> int:
    while (handled := int(sum(counts))) < enough:
        if not all(worker.is_alive() for worker in workers):
            raise RuntimeError("a worker process has ended")
        time.sleep(0.002)
    return handled


def _work(make: Make, request: Request, counts: Any, number: int) -> None:
    def ran(_: bytes) -> bool:
        counts[number] += 1
        return False

    async def work() -> None:
        await Working(make, request, ran).forever()

    run(work())
