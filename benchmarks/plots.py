"""The figures that a picture tells better, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.distribution import pooled
from benchmarks.goals import OURS
from benchmarks.record import Record

OURS_COLOUR, OTHER_COLOUR, SECOND_COLOUR = "#d1495b", "#6c8ead", "#c9d5e0"


def plots(folder: Path, record: Record) -> list[tuple[str, str]]:
    """Draw what the record holds; title and file name of each.

    Raises: ImportError: matplotlib is not installed.
    """
    import matplotlib  # pyright: ignore[reportMissingImports]  # only `make bench` installs it

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "asynq-py", "font.size": 9, "figure.autolayout": True})
    from matplotlib import pyplot  # pyright: ignore[reportMissingImports]

    drawn: list[tuple[str, str]] = []
    for title, name, draw in _PLOTS:
        figure, axes = pyplot.subplots(figsize=(8, 4))
        if draw(axes, record):
            axes.set_title(title)
            axes.spines[["top", "right"]].set_visible(False)
            figure.savefig(folder / name, metadata={"Date": None})
            drawn.append((title, name))
        pyplot.close(figure)
    return drawn


def _drained(axes: Any, record: Record) -> bool:
    return _bars(axes, _rates(record, "c100"), "tasks/s")


def _by_slots(axes: Any, record: Record) -> bool:
    keys = {"c1": 1, "c10": 10, "c100": 100, "c1000": 1_000}
    for name in _names(record):
        points = [(slots, rate) for key, slots in keys.items() if (rate := record.rate(key, name))]
        if len(points) > 1:
            ours = name == OURS
            axes.plot(*zip(*points, strict=True), marker="o", label=name, linewidth=3 if ours else 1.2)
    axes.set(xscale="log", yscale="log", xlabel="tasks at once", ylabel="tasks/s")
    return _legend(axes)


def _enqueued(axes: Any, record: Record) -> bool:
    keys = ("one", "together", "batch")
    names = [name for name in _names(record) if any(record.rate(key, name) for key in keys)]
    for shift, key in enumerate(keys):
        title = ("one by one", "100 at once", "in one call")[shift]
        rates = [record.rate(key, name) or 0 for name in names]
        axes.bar([place + shift * 0.27 for place in range(len(names))], rates, 0.25, label=title)
    axes.set_xticks([place + 0.27 for place in range(len(names))], names, rotation=30, ha="right")
    axes.set(ylabel="tasks/s", yscale="log")
    return _legend(axes)


def _waited(axes: Any, record: Record) -> bool:
    for name in _names(record):
        samples = pooled(record.of("latency", name))
        if samples:
            shares = [(rank + 1) / len(samples) * 100 for rank in range(len(samples))]
            axes.plot(samples, shares, label=name, linewidth=3 if name == OURS else 1.2)
    axes.set(xscale="log", xlabel="ms from enqueue to the handler's start", ylabel="% of tasks")
    return _legend(axes)


def _spent(axes: Any, record: Record) -> bool:
    costs = []
    for name in _names(record):
        answers = record.of("c100", name)
        if answers:
            worker = median(answer.cpu / answer.tasks for answer in answers) * 1e6
            costs.append((name, worker, median(answer.redis_cpu / answer.tasks for answer in answers) * 1e6))
    costs.sort(key=lambda cost: -cost[1] - cost[2])
    names = [cost[0] for cost in costs]
    axes.barh(names, [cost[1] for cost in costs], color=OTHER_COLOUR, label="worker")
    axes.barh(
        names,
        [cost[2] for cost in costs],
        left=[cost[1] for cost in costs],
        color=SECOND_COLOUR,
        label="Redis",
    )
    axes.set(xlabel="µs of processor time a task")
    return bool(costs) and _legend(axes)


def _long(axes: Any, record: Record) -> bool:
    answers = record.of("million", OURS)
    if not answers:
        return False
    tenths = range(1, len(answers[0].samples) + 1)
    axes.plot(tenths, answers[0].samples, marker="o", color=OURS_COLOUR)
    axes.set(xlabel="tenth of the tasks", ylabel="tasks/s (red)", ylim=(0, None))
    memory = axes.twinx()
    memory.plot(tenths, [mark / 2**20 for mark in answers[0].marks[1:]], marker="s", color=OTHER_COLOUR)
    memory.set(ylabel="RSS MiB (blue)", ylim=(0, None))
    return True


_PLOTS: Sequence[tuple[str, str, Callable[[Any, Record], bool]]] = (
    ("Tasks a second, no-op, 100 at once", "drain.svg", _drained),
    ("Tasks a second by tasks at once", "concurrency.svg", _by_slots),
    ("Tasks enqueued a second", "enqueue.svg", _enqueued),
    ("How long a task waits for an idle worker", "latency.svg", _waited),
    ("Processor time of a no-op task, 100 at once", "cost.svg", _spent),
    ("1,000,000 tasks in a row", "million.svg", _long),
)


def _names(record: Record) -> list[str]:
    return [system["name"] for system in record.systems]


def _rates(record: Record, key: str) -> dict[str, float]:
    return {name: rate for name in _names(record) if (rate := record.rate(key, name))}


def _bars(axes: Any, values: dict[str, float], unit: str) -> bool:
    names = sorted(values, key=lambda name: values[name])
    colours = [OURS_COLOUR if name == OURS else OTHER_COLOUR for name in names]
    bars = axes.barh(names, [values[name] for name in names], color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.set(xlabel=unit)
    return bool(values)


def _legend(axes: Any) -> bool:
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(fontsize=7)
    return bool(handles)
