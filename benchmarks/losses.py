"""Where another system is better, as a run says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.adapter import Answer
from benchmarks.distribution import percentile
from benchmarks.goals import BARE, LEVEL, OURS
from benchmarks.record import Record


@dataclass(frozen=True)
class Loss:
    """`ours` and `theirs` with their unit."""

    figure: str
    system: str
    ours: str
    theirs: str


def losses(record: Record) -> list[Loss]:
    """Those by more than a level result. The bare loop is no rival: it does not do the work of one."""
    names = [system["name"] for system in record.systems if system["name"] not in (OURS, BARE)]
    return [loss for figure in record.figures for name in names for loss in _compared(record, figure, name)]


def _compared(record: Record, figure: dict[str, Any], name: str) -> Iterator[Loss]:
    ours, theirs = record.of(figure["key"], OURS), record.of(figure["key"], name)
    if not ours or not theirs:
        return
    match figure["unit"]:
        case "tasks/s":
            ratio = record.ratio(figure["key"], OURS, name)
            rates = (record.rate(figure["key"], OURS) or 0, record.rate(figure["key"], name) or 0)
            if ratio and ratio < 1 - LEVEL:
                yield Loss(figure["title"], name, f"{rates[0]:,.0f}/s", f"{rates[1]:,.0f}/s")
        case "ms":
            for percent in (50, 99):
                mine, other = percentile(ours, percent) or 0, percentile(theirs, percent) or 0
                if mine > other * (1 + LEVEL):
                    yield Loss(f"{figure['title']}, p{percent}", name, f"{mine:.2f} ms", f"{other:.2f} ms")
        case "idle":
            for title, cost in (("Redis commands/s", _commands), ("memory in MiB", _memory)):
                mine, other = cost(ours), cost(theirs)
                if mine > other * (1 + LEVEL):
                    yield Loss(f"{figure['title']}, {title}", name, f"{mine:.1f}", f"{other:.1f}")


def _commands(answers: Sequence[Answer]) -> float:
    return median(answer.commands / answer.seconds for answer in answers)


def _memory(answers: Sequence[Answer]) -> float:
    return median(answer.rss for answer in answers) / 2**20
