"""What a system under test can be asked, and how it is asked: one process per figure, one line of JSON back.

Standard library only, as peers are measured in virtual environments of their own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

WARM = 200  # tasks run before the clock starts


@dataclass(frozen=True, kw_only=True)
class Request:
    """One measurement. `url`: of an empty Redis.

    `sleep`: seconds each handler takes. `size`: payload bytes.
    """

    figure: str
    url: str
    tasks: int
    concurrency: int = 100
    sleep: float = 0.0
    size: int = 100


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`seconds` for all `tasks`; `samples`: seconds each, where a figure is a distribution."""

    tasks: int
    seconds: float
    cpu: float
    samples: list[float] = field(default_factory=list)


class System(Protocol):
    """A task queue. Every method works on `url`, an empty Redis."""

    async def fill(self, tasks: int, payload: bytes) -> None:
        """Store tasks by the fastest way the system has."""

    async def enqueue(self, payload: bytes) -> None:
        """Store one task, and return when Redis has it."""

    async def enqueue_batch(self, payloads: list[bytes]) -> None:
        """Store many at once, by the API that the system has for it."""

    async def work(self, concurrency: int, handle: Callable[[], Any], ended: asyncio.Event) -> None:
        """Run tasks until the event, each by awaiting `handle()`."""

    async def aclose(self) -> None: ...


def payload_of(size: int) -> bytes:
    """A JSON object of that many bytes."""
    return json.dumps({"data": "x" * max(0, size - len('{"data": ""}'))}).encode()


def main(make: Callable[[str], System]) -> None:
    """Answer the request on the command line."""
    request = Request(**json.loads(sys.argv[1]))
    answer = asyncio.run(_FIGURES[request.figure](make(request.url), request))
    print(json.dumps(asdict(answer)))


async def _drain(system: System, request: Request) -> Answer:
    """Tasks stored beforehand → all handled. The clock starts when the first few have been."""
    await system.fill(request.tasks + WARM, payload_of(request.size))
    handled = 0
    started: tuple[float, float] = (0.0, 0.0)
    finished: tuple[float, float] = (0.0, 0.0)
    ended = asyncio.Event()

    async def handle() -> None:
        nonlocal handled, started, finished
        if request.sleep:
            await asyncio.sleep(request.sleep)
        handled += 1
        if handled == WARM:
            started = _now()
        elif handled == request.tasks + WARM:
            finished = _now()
            ended.set()

    await system.work(request.concurrency, handle, ended)
    await system.aclose()
    return Answer(tasks=request.tasks, seconds=finished[0] - started[0], cpu=finished[1] - started[1])


async def _enqueue_singly(system: System, request: Request) -> Answer:
    async def store() -> None:
        for _ in range(request.tasks):
            await system.enqueue(payload)

    payload = payload_of(request.size)
    return await _timed(system, request, store)


async def _enqueue_together(system: System, request: Request) -> Answer:
    """`concurrency` callers, each storing one task after the other."""

    async def caller() -> None:
        for _ in range(request.tasks // request.concurrency):
            await system.enqueue(payload)

    async def store() -> None:
        await asyncio.gather(*(caller() for _ in range(request.concurrency)))

    payload = payload_of(request.size)
    return await _timed(system, request, store)


async def _enqueue_batch(system: System, request: Request) -> Answer:
    async def store() -> None:
        await system.enqueue_batch([payload] * request.tasks)

    payload = payload_of(request.size)
    return await _timed(system, request, store)


async def _idle_latency(system: System, request: Request) -> Answer:
    """enqueue() called → handler started, on a worker that has nothing else to do."""
    ended, arrived = asyncio.Event(), asyncio.Event()
    at = 0.0

    async def handle() -> None:
        nonlocal at
        at = time.perf_counter()
        arrived.set()

    async def ask() -> list[float]:
        samples: list[float] = []
        payload = payload_of(request.size)
        for _ in range(request.tasks + 5):
            arrived.clear()
            asked = time.perf_counter()
            await system.enqueue(payload)
            await arrived.wait()
            samples.append(at - asked)
            await asyncio.sleep(0.02)  # let the worker fall idle
        ended.set()
        return samples[5:]

    asking = asyncio.create_task(ask())
    await system.work(request.concurrency, handle, ended)
    samples = await asking
    await system.aclose()
    return Answer(tasks=request.tasks, seconds=sum(samples), cpu=0.0, samples=samples)


async def _timed(system: System, request: Request, store: Callable[[], Any]) -> Answer:
    await system.enqueue(payload_of(request.size))  # connects
    started = _now()
    await store()
    finished = _now()
    await system.aclose()
    return Answer(tasks=request.tasks, seconds=finished[0] - started[0], cpu=finished[1] - started[1])


def _now() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


_FIGURES = {
    "drain": _drain,
    "enqueue_singly": _enqueue_singly,
    "enqueue_together": _enqueue_together,
    "enqueue_batch": _enqueue_batch,
    "idle_latency": _idle_latency,
}
