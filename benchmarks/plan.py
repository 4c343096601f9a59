"""What is measured, at which size, on which systems, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.adapter import Request
from benchmarks.candidates import BARE, OURS, Candidate

Unit = Literal["tasks/s", "ms", "idle"]
MILLION = 1_000_000
LEAST = 5  # tasks for each slot: of fewer, all would be under way before the first ends


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`request` without URL and tasks: those come from the pace of each system, `cap` at most.

    `on`: "all" systems, the "quick" ones, those that are "bare" (and ours), or "ours" alone. `load`: tasks
    arrive at this share of what the system handles while others are stored.
    """

    key: str
    title: str
    request: Request
    unit: Unit = "tasks/s"
    on: Literal["all", "quick", "bare", "ours"] = "all"
    cap: float = 200_000.0
    is_main: bool = False
    is_quick: bool = True
    is_once: bool = False
    load: float = 0.0


def figures() -> list[Figure]:
    drain = Request(figure="drain")
    batch = replace(drain, figure="enqueue_batch")
    latency = replace(drain, figure="idle_latency")
    several = {"critical": 6, "default": 3, "low": 1}
    grown = replace(drain, tasks=30_000, limit=60.0)
    return [
        Figure(key="c100", title="drain, no-op, c=100", request=drain, is_main=True),
        Figure(key="c10", title="drain, no-op, c=10", request=replace(drain, concurrency=10), is_main=True),
        Figure(key="c1", title="drain, no-op, c=1", request=replace(drain, concurrency=1), cap=2_500),
        Figure(key="c1000", title="drain, no-op, c=1000", request=replace(drain, concurrency=1_000)),
        Figure(
            key="10ms",
            title="drain, 10 ms, c=100",
            request=replace(drain, sleep=0.01),
            cap=9_500,
            is_main=True,
        ),
        Figure(key="1ms", title="drain, 1 ms, c=100", request=replace(drain, sleep=0.001), is_quick=False),
        Figure(
            key="one",
            title="enqueue one by one",
            request=replace(batch, figure="enqueue_singly"),
            is_main=True,
        ),
        Figure(
            key="together",
            title="enqueue, 100 at once",
            request=replace(batch, figure="enqueue_together"),
            is_main=True,
        ),
        Figure(key="batch", title="enqueue in one call", request=batch, is_main=True),
        Figure(
            key="through", title="store and handle at once, c=100", request=replace(drain, figure="through")
        ),
        Figure(
            key="latency",
            title="idle latency",
            request=replace(latency, tasks=150, limit=4.0),
            unit="ms",
            is_main=True,
        ),
        Figure(
            key="from_go",
            title="idle latency, tasks from Go",
            request=replace(latency, tasks=150),
            unit="ms",
            on="ours",
        ),
        Figure(
            key="late", title="lateness of delayed tasks", request=Request(figure="late", tasks=60), unit="ms"
        ),
        Figure(key="idle", title="idle worker", request=Request(figure="idle", limit=8.0), unit="idle"),
        Figure(
            key="load50",
            title="latency at 50 % load",
            request=Request(figure="load", limit=4.0),
            unit="ms",
            on="quick",
            load=0.5,
            is_quick=False,
        ),
        Figure(
            key="load90",
            title="latency at 90 % load",
            request=Request(figure="load", limit=4.0),
            unit="ms",
            on="quick",
            load=0.9,
            is_quick=False,
        ),
        Figure(
            key="10kB",
            title="drain, 10 kB payloads, c=100",
            request=replace(drain, size=10_000),
            cap=20_000,
            is_quick=False,
        ),
        Figure(
            key="1MB",
            title="drain, 1 MB payloads, c=10",
            request=replace(drain, size=1_000_000, concurrency=10),
            cap=150,
            on="quick",
            is_quick=False,
        ),
        Figure(
            key="queues",
            title="drain, three weighted queues, c=100",
            request=replace(drain, queues=several),
            is_quick=False,
        ),
        *(
            Figure(
                key=f"processes{n}",
                title=f"drain, {n} worker process{'es' * (n > 1)}, c=100",
                request=replace(drain, figure="processes", processes=n),
                on="bare",
                is_quick=False,
            )
            for n in (1, 2, 4)
        ),
        *(
            Figure(
                key=f"backlog{pending}",
                title=f"drain with {pending:,} pending, c=100",
                request=replace(grown, backlog=pending),
                on="ours",
                is_quick=False,
                is_once=pending == MILLION,
            )
            for pending in (10_000, 100_000, MILLION)
        ),
        Figure(
            key="million",
            title="1,000,000 tasks in a row, c=100",
            request=replace(drain, tasks=MILLION, limit=300.0),
            on="ours",
            is_quick=False,
            is_once=True,
        ),
    ]


def sized(figure: Figure, candidate: Candidate, seconds: float) -> Request:
    """The request for this system: about so many seconds long, where the figure leaves that open."""
    request = figure.request
    if figure.unit != "tasks/s" or request.backlog or request.tasks == MILLION:
        return request
    pace = candidate.store if request.figure.startswith("enqueue") else candidate.handle
    if request.figure in ("enqueue_batch", "enqueue_together"):
        pace *= 3
    tasks = int(min(pace, figure.cap) * seconds)
    least = max(100, LEAST * request.concurrency)
    return replace(request, tasks=max(least, tasks - tasks % 100))


def order(
    figures: Sequence[Figure], candidates: Sequence[Candidate]
) -> Iterator[tuple[int, Figure, Candidate]]:
    """Turns without end: everything, then twice the main figures of the quick systems; again.

    A figure is measured on one system after the other, again and again (A B C A B C …), so that a machine
    whose speed drifts is unfair to nobody.
    """
    turn = 0
    while turn == 0 or not all(figure.is_once for figure in figures):
        whole = turn % 3 == 0
        for figure in figures:
            if (figure.is_main or whole) and not (figure.is_once and turn):
                for candidate in candidates:
                    if _applies(figure, candidate) and (whole or candidate.is_quick):
                        yield turn, figure, candidate
        turn += 1


def _applies(figure: Figure, candidate: Candidate) -> bool:
    match figure.on:
        case "all":
            return True
        case "quick":
            return candidate.is_quick
        case "bare":
            return candidate.name in (OURS.name, BARE.name)
        case "ours":
            return candidate.name == OURS.name
