"""What is measured, at which size, and on which systems."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

from benchmarks.adapter import Request


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`title` for the table; `request` without a URL; `unit`: "tasks/s", or "ms" for a distribution."""

    title: str
    request: Request
    unit: str = "tasks/s"


@dataclass(frozen=True)
class Candidate:
    """A system: the interpreter and the module that answer for it."""

    name: str
    module: str
    python: str = sys.executable


CANDIDATES = (
    Candidate("asynq-py", "benchmarks.systems.ours"),
    Candidate("bare loop", "benchmarks.systems.bare"),
)
YARDSTICK = "bare loop"


def figures(*, quick: bool) -> list[Figure]:
    drain = Request(figure="drain", url="", tasks=10_000 if quick else 40_000)
    store = replace(drain, figure="enqueue_singly", tasks=2_000 if quick else 10_000)
    return [
        Figure(title="drain, no-op, c=1", request=replace(drain, tasks=drain.tasks // 10, concurrency=1)),
        Figure(title="drain, no-op, c=10", request=replace(drain, concurrency=10)),
        Figure(title="drain, no-op, c=100", request=drain),
        Figure(title="drain, no-op, c=1000", request=replace(drain, concurrency=1000)),
        Figure(title="drain, 10 ms, c=100", request=replace(drain, sleep=0.01)),
        Figure(title="enqueue one by one", request=store),
        Figure(title="enqueue, 100 callers", request=replace(drain, figure="enqueue_together")),
        Figure(title="enqueue in one batch", request=replace(drain, figure="enqueue_batch")),
        Figure(
            title="idle latency",
            request=replace(store, figure="idle_latency", tasks=100 if quick else 400),
            unit="ms",
        ),
    ]
