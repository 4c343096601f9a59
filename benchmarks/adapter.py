"""What a system under test can be asked, and what it answers: one process per measurement, JSON in, JSON out.

Standard library only, and nothing of asynq_py: peers answer in virtual environments of their own.
"""

from __future__ import annotations

import asyncio
import json
import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Request:
    """One measurement, on an empty Redis.

    `sleep`: seconds each handler takes. `size`: payload bytes. `rate`: tasks a second that arrive.
    `backlog`: tasks that stay behind. `limit`: seconds after which a figure of unknown length ends early.
    """

    figure: str
    url: str = ""
    tasks: int = 1_000
    concurrency: int = 100
    sleep: float = 0.0
    size: int = 100
    queues: dict[str, int] = field(default_factory=lambda: {"default": 1})  # name → weight
    processes: int = 1
    backlog: int = 0
    rate: float = 0.0
    limit: float = 8.0
    producer: str = ""  # a program that hands in the tasks of idle_latency instead


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`seconds` in which `tasks` were done; `samples`: one number each, where a figure is a distribution.

    `cpu` and `redis_cpu`: processor seconds of this process and of Redis in that time. `commands`: what
    Redis ran, inside scripts too. `rss`: bytes of this process at the end. `marks`: memory along the way.
    """

    tasks: int
    seconds: float
    cpu: float = 0.0
    redis_cpu: float = 0.0
    commands: int = 0
    rss: int = 0
    samples: list[float] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)
    runtime: str = field(default_factory=lambda: f"CPython {platform.python_version()}")
    absent: str = ""  # why the system has no such figure; the rest is then empty


class AbsentError(Exception):
    """The system does not offer what the figure needs."""


class System:
    """A task queue. An adapter overrides what its system has; the rest says that it is absent."""

    def __init__(self, request: Request) -> None:
        self.request = request

    async def connect(self) -> None:
        """Connect in order to enqueue, where that is a step of its own."""

    async def store(self, payloads: Sequence[bytes]) -> None:
        """Store tasks by the fastest way the system has."""
        try:
            await self.enqueue_batch(payloads)
        except AbsentError:
            await self.enqueue_together(payloads)

    async def enqueue(self, payload: bytes) -> None:
        """Store one task, and return when Redis has it."""
        raise NotImplementedError

    async def enqueue_together(self, payloads: Sequence[bytes]) -> None:
        """Store tasks as a program with 100 concurrent callers does."""
        waiting = iter(payloads)

        async def caller() -> None:
            for payload in waiting:
                await self.enqueue(payload)

        await asyncio.gather(*(caller() for _ in range(min(100, len(payloads)))))

    async def enqueue_batch(self, payloads: Sequence[bytes]) -> None:
        """Store many by the call that the system has for it."""
        raise AbsentError("no call that stores many tasks")

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        """Store a task that is due at that Unix time."""
        raise AbsentError("no delayed tasks")

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        """Run tasks by `handler`, `request.concurrency` at once, until the event."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close what the constructor or the other methods opened."""


class BlockingSystem(System):
    """A task queue whose calls block: one caller stores one task after the other."""

    async def enqueue_together(self, payloads: Sequence[bytes]) -> None:
        raise AbsentError("its calls block")

    async def store(self, payloads: Sequence[bytes]) -> None:
        try:
            await self.enqueue_batch(payloads)
        except AbsentError:
            for payload in payloads:
                await self.enqueue(payload)


def needs_one_queue(request: Request) -> None:
    """Refuse what a system without weighted queues cannot do."""
    if len(request.queues) > 1:
        raise AbsentError("no weighted queues")


class Handler:
    """What each task does: sleeps if it should, and is counted. Call it, or `sync` in a thread."""

    def __init__(self, sleep: float, ran: Callable[[bytes], None]) -> None:
        self._sleep = sleep
        self._ran = ran
        self._one_at_a_time = threading.Lock()

    async def __call__(self, payload: bytes) -> None:
        if self._sleep:
            await asyncio.sleep(self._sleep)
        self._ran(payload)

    def sync(self, payload: bytes) -> None:
        if self._sleep:
            time.sleep(self._sleep)
        with self._one_at_a_time:
            self._ran(payload)


Make = Callable[[Request], System]


def payload_of(size: int, at: float = 0.0) -> bytes:
    """A JSON object of about that many bytes that says when it was handed in."""
    head = f'{{"at": {at:.6f}, "data": "'
    return (head + "x" * max(0, size - len(head) - 2) + '"}').encode()


def at_of(payload: bytes) -> float:
    return float(json.loads(payload)["at"])
