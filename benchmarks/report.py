"""A record as Markdown. `python -m benchmarks.report FOLDER` writes it anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.adapter import Answer
from benchmarks.distribution import percentile
from benchmarks.goals import BARE, OURS, SPEED, Goal, goals
from benchmarks.losses import losses
from benchmarks.plots import plots
from benchmarks.record import Record, read

NAME = "report.md"
DASH = "\u2013"


def write(folder: Path) -> Path:
    """Write report and plots of the record in this folder."""
    record = read(folder)
    parts = [
        "# Benchmark report",
        _about(record),
        *summary(folder, record),
        "## Where we lose",
        _losses(record),
        "## Every figure",
        *(part for figure in record.figures for part in _figure(record, figure)),
        "## The systems",
        _systems(record),
        "## Redis alone",
        _yardstick(record),
    ]
    path = folder / NAME
    path.write_text("\n\n".join(part for part in parts if part) + "\n")
    return path


def summary(folder: Path, record: Record) -> list[str]:
    """Goals and pictures, for those who read no further."""
    return ["## The goals", _goals(goals(record)), *_plots(folder, record)]


def _about(record: Record) -> str:
    about = record.about
    return "\n".join(
        [
            f"{about.get('at', '')}. {about.get('processor', '')}, {about.get('processors', '')} processors, "
            f"{about.get('system', '')}; load {about.get('load', 0):.1f} when it began. "
            f"Python {about.get('python', '')}, {about.get('redis', '')}, "
            f"{about.get('go', '') or 'no Go'}. "
            f"Arguments: `{' '.join(about.get('arguments', [])) or 'none'}`.",
            "",
            "Redis runs on the same machine, over loopback TCP, without persistence: nothing is durable "
            "beyond its memory, for all systems alike. One worker process each unless said otherwise. Values "
            "are medians of the turns; machines differ and are noisy, so what counts is the ratio of two "
            "systems measured in turns.",
        ]
    )


def _goals(found: Sequence[Goal]) -> str:
    counts = {
        verdict: sum(goal.verdict == verdict for goal in found) for verdict in ("ahead", "level", "behind")
    }
    rows = [
        (
            goal.title,
            f"{'≥' if goal.least else '≤'} {goal.target:g} {goal.unit}",
            DASH if goal.value is None else f"{goal.value:.3g} {goal.unit}",
            "" if goal.there is None else f"{goal.there:.3g} {goal.unit}",
            f"**{goal.verdict}**" if goal.verdict == "behind" else goal.verdict,
        )
        for goal in found
    ]
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return (
        f"{summary} (within 3 % is level). Goals in time were set on a machine with {SPEED:,.0f} PINGs/s of "
        "one client; the last column but one is about what that would measure.\n\n"
        + table(("figure", "goal", "measured", "at that speed", "verdict"), rows)
    )


def _losses(record: Record) -> str:
    lines = [
        f"- {loss.figure}: {loss.system} has {loss.theirs}, {OURS} {loss.ours}" for loss in losses(record)
    ]
    return "\n".join(lines) if lines else "Nowhere in this run."


def _plots(folder: Path, record: Record) -> Iterator[str]:
    yield "## In pictures"
    try:
        drawn = plots(folder, record)
    except ImportError:
        yield "Not drawn: matplotlib is not installed (dependency group `bench`)."
        return
    for title, name in drawn:
        yield f"![{title}]({name})"


def _figure(record: Record, figure: dict[str, Any]) -> Iterator[str]:
    key = figure["key"]
    names = [system["name"] for system in record.systems]
    measured = {name: record.of(key, name) for name in names}
    rows = [
        _ROWS[figure["unit"]](record, key, name, answers) for name, answers in measured.items() if answers
    ]
    if not rows:
        problems = {record.problem(key, name) for name in names} - {""}
        if problems:
            yield f"### {figure['title']}"
            yield "Nothing was measured: " + "; ".join(sorted(problems)) + "."
        return
    yield f"### {figure['title']}"
    yield table(_HEADS[figure["unit"]], rows)
    absent = [
        f"{name}: {DASH} ({problem})"
        for name in names
        if not measured[name] and (problem := record.problem(key, name))
    ]
    if absent:
        yield "; ".join(absent) + "."


def _rate_row(record: Record, key: str, name: str, answers: Sequence[Answer]) -> tuple[str, ...]:
    rates = [answer.tasks / answer.seconds for answer in answers]
    ratio = record.ratio(key, OURS, name) if name != OURS else None
    bare = record.ratio(key, name, BARE) if name != BARE else None
    return (
        name,
        f"{median(rates):,.0f}",
        f"{min(rates):,.0f} … {max(rates):,.0f}" if len(rates) > 1 else "one turn",
        f"{ratio:.2f}" if ratio else "",
        f"{bare:.2f}" if bare else "",
        f"{median(answer.cpu / answer.tasks for answer in answers) * 1e6:.0f}",
        f"{median(answer.redis_cpu / answer.tasks for answer in answers) * 1e6:.0f}",
        f"{median(answer.rss for answer in answers) / 2**20:.0f}",
    )


def _latency_row(_: Record, __: str, name: str, answers: Sequence[Answer]) -> tuple[str, ...]:
    shown = (f"{percentile(answers, percent) or 0:.2f}" for percent in (50, 95, 99, 100))
    return (name, *shown, f"{sum(answer.tasks for answer in answers):,}")


def _idle_row(_: Record, __: str, name: str, answers: Sequence[Answer]) -> tuple[str, ...]:
    return (
        name,
        f"{median(answer.commands / answer.seconds for answer in answers):.1f}",
        f"{median(answer.cpu / answer.seconds for answer in answers) * 100:.2f}",
        f"{median(answer.redis_cpu / answer.seconds for answer in answers) * 100:.2f}",
        f"{median(answer.rss for answer in answers) / 2**20:.0f}",
    )


_ROWS = {"tasks/s": _rate_row, "ms": _latency_row, "idle": _idle_row}
_HEADS = {
    "tasks/s": (
        "system", "tasks/s", "lowest … highest", f"{OURS} to it", "it to the bare loop", "CPU µs/task",
        "Redis µs/task", "RSS MiB",
    ),
    "ms": ("system", "p50 ms", "p95", "p99", "max", "tasks"),
    "idle": ("system", "Redis commands/s", "CPU %", "Redis CPU %", "RSS MiB"),
}  # fmt: skip


def _systems(record: Record) -> str:
    rows = [
        (
            system["name"],
            system["version"],
            next(
                (
                    turn.answer.runtime
                    for turn in record.turns
                    if turn.system == system["name"] and turn.answer
                ),
                "",
            ),
            system["delivery"],
            system["failure"],
        )
        for system in record.systems
    ]
    return (
        table(("system", "version", "runs on", "delivery", "failed"), rows, texts=5)
        + "\n\nSettings are described at the head of each adapter, in `benchmarks/peers`. All Python systems "
        "run on plain asyncio or in threads."
    )


def _yardstick(record: Record) -> str:
    found = [values for values in record.yardsticks if values]
    if not found:
        return "redis-benchmark is not installed: no yardstick."
    rows = [
        (name, f"{median(values[name] for values in found):,.0f}",
         f"{min(values[name] for values in found):,.0f} … {max(values[name] for values in found):,.0f}")
        for name in found[0]
    ]  # fmt: skip
    return table(("redis-benchmark", "commands/s", "lowest … highest"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A Markdown table; so many columns to the left, the others, numbers, to the right."""
    lines = [head, ["---"] * texts + ["---:"] * (len(head) - texts), *rows]
    cells = ([cell.replace("\n", " ").replace("|", "/") for cell in line] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
