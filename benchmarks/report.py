"""Turns into a table: medians, spread, and ratios to the yardstick turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles

from rich.table import Table

from benchmarks.measure import Measured
from benchmarks.plan import YARDSTICK


def table() -> Table:
    result = Table(title="Medians of the turns; the ratio is that of each pair of turns to the bare loop")
    result.add_column("figure")
    result.add_column("system")
    result.add_column("median", justify="right")
    result.add_column("lowest … highest", justify="right")
    result.add_column("of bare loop", justify="right")
    result.add_column("CPU µs/task", justify="right")
    return result


def rows(turns: Sequence[Measured]) -> list[tuple[str, ...]]:
    """The rows of one figure, a system each."""
    by_name: dict[str, list[Measured]] = {}
    for turn in turns:
        by_name.setdefault(turn.candidate.name, []).append(turn)
    yardstick = [_value(turn) for turn in by_name.get(YARDSTICK, [])]
    return [_row(name, measured, yardstick) for name, measured in by_name.items()]


def _row(name: str, turns: Sequence[Measured], yardstick: Sequence[float]) -> tuple[str, ...]:
    figure = turns[0].figure
    values = [_value(turn) for turn in turns]
    ratios = [value / other for value, other in zip(values, yardstick, strict=False)]
    cpu = median(turn.answer.cpu / turn.answer.tasks * 1e6 for turn in turns)
    if figure.unit == "ms":
        pooled = [sample for turn in turns for sample in turn.answer.samples]
        cuts = quantiles(pooled, n=100)
        shown = f"{cuts[49] * 1e3:.2f} ms"
        spread = f"p95 {cuts[94] * 1e3:.2f}, p99 {cuts[98] * 1e3:.2f}, max {max(pooled) * 1e3:.1f} ms"
    else:
        shown = f"{median(values):,.0f}/s"
        spread = f"{min(values):,.0f} … {max(values):,.0f}"
    return (
        figure.title,
        name,
        shown,
        spread,
        f"{median(ratios):.2f}" if ratios and name != YARDSTICK else "",
        f"{cpu:.1f}" if cpu else "",
    )


def _value(turn: Measured) -> float:
    if turn.figure.unit == "ms":
        return median(turn.answer.samples)
    return turn.answer.tasks / turn.answer.seconds
