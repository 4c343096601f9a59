"""How long tasks wait: on an idle worker, under load, past their due second. Standard library only.

A second process hands the tasks in. Each payload says when: the monotonic clock is the same in all processes
of one machine. The measured process answers the second one by a byte per task on a pipe.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections.abc import Callable

from benchmarks.adapter import Answer, Make, Request, System, at_of, payload_of
from benchmarks.apart import Apart, Foreign
from benchmarks.probe import Probe, between, rss
from benchmarks.working import Working, run

KEPT = 1_000  # samples of one answer
WARM = 3
GRACE = 12.0  # seconds that tasks may start after the last was due
TICK = 0.002
SETTLE = 1.5


def idle_latency(make: Make, request: Request) -> Answer:
    """enqueue() called → handler started, on a worker that has nothing else to do."""
    acks, ack = os.pipe()

    async def hand_in(system: System) -> None:
        ends_at = math.inf
        for n in range(request.tasks + WARM):
            if n == WARM:
                ends_at = time.perf_counter() + request.limit
            await asyncio.sleep(random.uniform(0.02, 0.05))  # let the worker fall idle, in step with nothing
            if time.perf_counter() > ends_at:
                return
            await system.enqueue(payload_of(request.size, time.perf_counter()))
            os.read(acks, 1)

    samples: list[float] = []

    def ran(payload: bytes) -> bool:
        samples.append(time.perf_counter() - at_of(payload))
        if isinstance(handing, Foreign):
            handing.ack()
        else:
            os.write(ack, b".")
        return False

    handing = Foreign(request) if request.producer else Apart(make, request, hand_in)
    _work(make, request, ran, handing)
    return _distribution(samples[WARM:])


def load(make: Make, request: Request) -> Answer:
    """Tasks that arrive at `rate`, whatever the system does: due → handler started.

    They arrive every two milliseconds, some together; a second process that is behind hands in all due ones.
    """
    acks, ack = os.pipe()
    tasks = int(request.rate * request.limit)
    tick = max(TICK, 1 / request.rate)

    async def hand_in(system: System) -> None:
        await system.enqueue(payload_of(request.size))
        os.read(acks, 1)
        started, ticks, handed = time.perf_counter() + tick, 0, 0
        while handed < tasks:
            await asyncio.sleep(max(0.0, started + ticks * tick - time.perf_counter()))
            some: list[bytes] = []
            while handed < tasks and started + ticks * tick <= time.perf_counter():
                due, ticks = started + ticks * tick, ticks + 1
                share = min(tasks, round(ticks * tick * request.rate)) - handed
                some += [payload_of(request.size, due)] * share
                handed += share
            if some:
                await system.store(some)
        await asyncio.sleep(GRACE)

    samples: list[float] = []

    def ran(payload: bytes) -> bool:
        at = at_of(payload)
        if not at:
            os.write(ack, b".")
            return False
        samples.append(time.perf_counter() - at)
        return len(samples) == tasks

    _work(make, request, ran, Apart(make, request, hand_in))
    return _distribution(samples)


def late(make: Make, request: Request) -> Answer:
    """Tasks due at whole seconds: due → handler started."""

    async def hand_in(system: System) -> None:
        first = math.ceil(time.time()) + 2
        for n in range(request.tasks):
            at = first + n * 3 // request.tasks
            await system.enqueue_at(payload_of(request.size, at), at)
        await asyncio.sleep(first + 3 + GRACE - time.time())

    samples: list[float] = []

    def ran(payload: bytes) -> bool:
        samples.append(time.time() - at_of(payload))
        return len(samples) == request.tasks

    _work(make, request, ran, Apart(make, request, hand_in))
    if len(samples) < request.tasks:
        raise RuntimeError(f"{len(samples)} of {request.tasks} tasks started within {GRACE:.0f} s")
    return _distribution(samples)


def idle(make: Make, request: Request) -> Answer:
    """What a worker without work costs, for `limit` seconds."""

    async def hand_in(system: System) -> None:
        await system.enqueue(payload_of(request.size))

    def ran(_: bytes) -> bool:
        seen.append(True)
        return False

    async def look() -> Answer:
        probe = Probe(request.url)
        working = Working(make, request, ran)
        while not seen:
            working.check(handing)
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLE)
        first = probe.look()
        await asyncio.sleep(request.limit)
        return between(first, probe.look(), 1)

    seen: list[bool] = []
    handing = Apart(make, request, hand_in)
    return run(look())


def _work(make: Make, request: Request, ran: Callable[[bytes], bool], handing: Apart | Foreign) -> None:
    async def work() -> None:
        await Working(make, request, ran).until_end(handing, end_with_it=True)

    run(work())


def _distribution(samples: list[float]) -> Answer:
    """Of many samples, as many as tell the same: evenly spaced by rank, the highest included."""
    if not samples:
        raise RuntimeError("no task has run")
    ranked = sorted(samples)
    step = max(1, len(ranked) // KEPT)
    kept = ranked[::-1][::step][::-1]
    return Answer(
        tasks=len(samples),
        seconds=sum(samples),
        rss=rss(),
        samples=[round(sample, 6) for sample in kept],
    )
