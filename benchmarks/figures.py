"""How fast a system stores and handles tasks, measured in the same way for each. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from benchmarks import latency, processes
from benchmarks.adapter import Answer, Make, Request, System, payload_of
from benchmarks.apart import Apart
from benchmarks.probe import Moment, Probe, between, rss
from benchmarks.working import Working, run

TENTHS = 10


def drain(make: Make, request: Request) -> Answer:
    """Tasks stored beforehand → all handled. The clock starts when the first few have been."""
    filling = processes.fill(make, request)
    filling.wait()
    return run(_drain(make, request, filling))


def through(make: Make, request: Request) -> Answer:
    """The same while another process stores the tasks as fast as it can."""
    return run(_drain(make, request, processes.fill(make, request)))


async def _drain(make: Make, request: Request, filling: Apart) -> Answer:
    counter = _Counter(request, Probe(request.url))
    await Working(make, request, counter.ran).until_end(filling, limit=request.limit)
    return counter.answer()


class _Counter:
    """Counts tasks, and looks at clocks and memory after each tenth of them."""

    def __init__(self, request: Request, probe: Probe) -> None:
        self._probe = probe
        self._tenth = max(1, request.tasks // TENTHS)
        self._left = processes.warm_of(request)
        self._tenths = -1  # the warm-up comes before the first
        self._looks: list[Moment] = []
        self._marks: list[tuple[float, int]] = []

    def ran(self, _: bytes) -> bool:
        self._left -= 1
        if self._left:
            return False
        self._left = self._tenth
        self._tenths += 1
        if self._tenths <= TENTHS:
            self._marks.append((time.perf_counter(), rss()))
        if self._tenths in (0, TENTHS):
            self._looks.append(self._probe.look())
        return self._tenths == TENTHS

    def answer(self) -> Answer:
        if not self._looks:
            raise RuntimeError("too slow: not warm within the limit")
        handled = self._tenth * TENTHS
        if len(self._looks) == 1:  # the limit came first
            handled = self._tenths * self._tenth + self._tenth - self._left
            self._looks.append(self._probe.look())
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return between(
            self._looks[0],
            self._looks[1],
            handled,
            samples=[round(self._tenth / (later[0] - sooner[0]), 1) for sooner, later in pairs],
            marks=[float(mark[1]) for mark in self._marks],
        )


def enqueue_singly(make: Make, request: Request) -> Answer:
    """One caller that stores one task after the other."""

    async def store(system: System, payloads: list[bytes]) -> None:
        for payload in payloads:
            await system.enqueue(payload)

    return run(_store(make, request, store))


def enqueue_together(make: Make, request: Request) -> Answer:
    """100 callers, each storing one task after the other."""
    return run(_store(make, request, System.enqueue_together))


def enqueue_batch(make: Make, request: Request) -> Answer:
    """All by one call, where the system has one."""

    async def store(system: System, payloads: list[bytes]) -> None:
        await system.enqueue_batch(payloads)

    return run(_store(make, request, store))


async def _store(
    make: Make, request: Request, store: Callable[[System, list[bytes]], Awaitable[None]]
) -> Answer:
    system = make(request)
    await system.connect()
    probe = Probe(request.url)
    payload = payload_of(request.size)
    await store(system, [payload] * min(100, request.tasks))  # connects
    first = probe.look()
    await store(system, [payload] * request.tasks)
    return between(first, probe.look(), request.tasks)


FIGURES: dict[str, Callable[[Make, Request], Answer]] = {
    "drain": drain,
    "through": through,
    "processes": processes.several,
    "enqueue_singly": enqueue_singly,
    "enqueue_together": enqueue_together,
    "enqueue_batch": enqueue_batch,
    "idle": latency.idle,
    "idle_latency": latency.idle_latency,
    "late": latency.late,
    "load": latency.load,
}
