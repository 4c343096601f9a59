"""What each decision of the design gives: asynq-py beside itself with one thing done otherwise, in turns.

`python -m benchmarks.choices` writes `benchmarks/results/choices.md`, which `docs/decisions` point to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks import redis_process
from benchmarks.adapter import Answer, Request
from benchmarks.candidates import OURS, Candidate
from benchmarks.distribution import percentile
from benchmarks.measure import measure
from benchmarks.record import about
from benchmarks.report import table

PAGE = Path(__file__).parent / "results" / "choices.md"
BUSY, SLEEPING = "drain, no-op, c=100", "drain, 10 ms, c=100"
STORING, SINGLY = "enqueue in one call", "enqueue one by one"
WAITING, IDLE = "idle latency", "idle worker"
REQUESTS = {
    BUSY: Request(figure="drain", tasks=60_000),
    SLEEPING: Request(figure="drain", tasks=15_000, sleep=0.01),
    STORING: Request(figure="enqueue_batch", tasks=60_000),
    SINGLY: Request(figure="enqueue_singly", tasks=4_000),
    WAITING: Request(figure="idle_latency", tasks=150),
    IDLE: Request(figure="idle", limit=10.0),
}


@dataclass(frozen=True)
class Choice:
    """`key`: of benchmarks.systems.otherwise. `figures`: where it could matter."""

    key: str
    figures: Sequence[str]


CHOICES = (
    Choice("uvloop", (BUSY, SLEEPING, SINGLY, WAITING)),
    Choice("RESP3", (BUSY, STORING)),
    Choice("socket file", (BUSY, SINGLY, WAITING)),
    Choice("protobuf in Python", (BUSY, STORING)),
    Choice("task group", (BUSY,)),
    Choice("no look-ahead", (BUSY, SLEEPING)),
    Choice("polling", (WAITING, IDLE)),
    Choice("heartbeat in the same loop", (BUSY, IDLE)),
    Choice("seldom garbage collection", (BUSY,)),
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choices", description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", metavar="TEXT", default="", help="choices whose name contains this")
    parser.add_argument("--tasks", type=int, help="so many, to try it")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    rows: list[tuple[str, ...]] = []
    with redis_process.running() as server:
        for choice, figure in _wanted(given.only):
            asked = replace(REQUESTS[figure], tasks=given.tasks or REQUESTS[figure].tasks)
            other = _otherwise(choice.key)
            pairs: list[tuple[Answer, Answer]] = []
            for _ in range(given.turns):
                ours, theirs = measure(asked, OURS, server), measure(asked, other, server)
                if isinstance(ours, str) or isinstance(theirs, str):
                    print(choice.key, ours if isinstance(ours, str) else theirs, flush=True)
                    continue
                pairs.append((ours, theirs))
            if pairs:
                rows.append((choice.key, figure, *_compared(figure, pairs)))
                print(" | ".join(rows[-1]), flush=True)
        facts = about(redis=f"Redis {server.info('server')['redis_version']}", go="", arguments=[])
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(_page(facts, rows, given.turns))


def _wanted(only: str) -> Iterator[tuple[Choice, str]]:
    return ((choice, figure) for choice in CHOICES if only in choice.key for figure in choice.figures)


def _otherwise(key: str) -> Candidate:
    return Candidate(name=key, command=(sys.executable, "-m", "benchmarks.systems.otherwise", key))


def _compared(figure: str, pairs: Sequence[tuple[Answer, Answer]]) -> tuple[str, str, str, str]:
    """What it gives, and what it costs: otherwise, divided by asynq-py as it is."""
    if figure == WAITING:
        ours, theirs = ([one[side] for one in pairs] for side in (0, 1))
        text = ", ".join(
            f"p{rank} {percentile(ours, rank) or 0:.2f} → {percentile(theirs, rank) or 0:.2f} ms"
            for rank in (50, 99)
        )
        return text, "", "", ""
    if figure == IDLE:
        sides = [[one[side] for one in pairs] for side in (0, 1)]
        commands = [median(answer.commands / answer.seconds for answer in side) for side in sides]
        cpu = [median(answer.cpu / answer.seconds * 100 for answer in side) for side in sides]
        told = f"{commands[0]:.1f} → {commands[1]:.1f} commands/s, CPU {cpu[0]:.2f} → {cpu[1]:.2f} %"
        return told, "", "", ""
    rate = _ratios(pairs, lambda answer: answer.tasks / answer.seconds)
    return (
        f"{median(rate):.2f}",
        f"{min(rate):.2f} … {max(rate):.2f}",
        f"{median(_ratios(pairs, lambda answer: answer.cpu)):.2f}",
        f"{median(_ratios(pairs, lambda answer: answer.redis_cpu)):.2f}",
    )


def _ratios(pairs: Sequence[tuple[Answer, Answer]], of: Callable[[Answer], float]) -> list[float]:
    return [of(theirs) / max(of(ours), 1e-9) for ours, theirs in pairs]


def _page(facts: dict[str, object], rows: Sequence[Sequence[str]], turns: int) -> str:
    head = ("done otherwise", "figure", "speed", "lowest … highest", "worker's CPU", "Redis' CPU")
    return (
        "# What each decision gives\n\n"
        f"{facts['at']}. {facts['processor']}, {facts['processors']} processors, {facts['system']}; "
        f"Python {facts['python']}, {facts['redis']}. `python -m benchmarks.choices`: asynq-py and "
        f"asynq-py with one thing done otherwise, {turns} times in turns. Ratios: otherwise to "
        "as it is; below 1 the decision gains speed. Latencies and idle costs: as it is → otherwise.\n\n"
        + table(head, rows, texts=2)
        + "\n"
    )


if __name__ == "__main__":
    main()
