"""The queue under the cursor: its numbers, and what it did lately as large sparklines."""

from __future__ import annotations

from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Sparkline, Static

from asynq_py.cli.states import STATES
from asynq_py.cli.wording import printable, share, size, span
from asynq_py.dash.cells import COLOURS, number
from asynq_py.dash.trend import Trend

LINES: Final = ("processed", "failed", "latency")


class QueuePanel(Horizontal):
    def compose(self) -> ComposeResult:
        yield Static(id="numbers")
        for name in LINES:
            with Vertical():
                yield Static(name, id=f"{name}-title")
                yield Sparkline(id=name)

    def present(self, trend: Trend | None) -> None:
        self.display = trend is not None
        if trend is None:
            return
        self.query_one("#numbers", Static).update(_numbers(trend))
        processed, failed, latency = trend.processed, trend.failed, trend.latency
        self._draw("processed", processed, f"{_last(processed)} a second")
        self._draw("failed", failed, f"{_last(failed)} a second")
        self._draw("latency", latency, span(latency[-1]))

    def _draw(self, name: str, values: list[float], shown: str) -> None:
        self.query_one(f"#{name}-title", Static).update(f"{name}  {shown}")
        self.query_one(f"#{name}", Sparkline).data = [0.0, *(values or [0.0])]  # bars begin at 0


def _last(values: list[float]) -> str:
    return number(values[-1]) if values else "…"


def _numbers(trend: Trend) -> Text:
    info = trend.looks[-1]
    lines = Text.assemble((printable(info.queue), "bold"), "  paused" if info.is_paused else "", "\n")
    for state in STATES:
        count = getattr(info, state)
        lines.append(f"{state} ", COLOURS[state] if count else "dim").append(f"{count:,}   ")
    lines.append(f"\ngroups {info.groups:,}   memory {size(info.memory_usage)}\n")
    today = (
        f"today {info.processed:,} processed, {info.failed:,} failed ({share(info.failed, info.processed)})"
    )
    return lines.append(today)
