"""How values look in a table. What users wrote is never taken for markup, nor for orders to the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from asynq_py.cli.wording import printable

BARS: Final = "▁▂▃▄▅▆▇█"
COLOURS: Final[Mapping[str, str]] = {
    "active": "blue", "pending": "cyan", "aggregating": "magenta", "scheduled": "cyan",
    "retry": "yellow", "archived": "red", "completed": "green",
}  # fmt: skip


def cell(text: object, style: str = "") -> Text:
    """A text that is cut where its column ends."""
    return Text(printable(str(text)), style, no_wrap=True, overflow="ellipsis")


def count(number: int, style: str = "") -> Text:
    """A whole number; nothing at all is dim, so that what there is stands out."""
    return Text(f"{number:,}", style if number else "dim", justify="right")


def number(value: float) -> str:
    """`0`, `0.25`, `12.5`, `1,234`: three digits that matter."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bars(values: Sequence[float], width: int) -> str:
    """The last values as a line of bars, from 0 up; as wide as asked for."""
    last = values[-width:]
    top = max(last, default=0.0)
    drawn = "".join(BARS[round(value / top * (len(BARS) - 1))] if top else BARS[0] for value in last)
    return drawn.rjust(width)


def spark(values: Sequence[float], shown: str, style: str, *, width: int = 10) -> Text:
    """Bars with the latest value beside them."""
    is_quiet = not any(values)
    return Text.assemble((bars(values, width), "dim" if is_quiet else style), f" {shown:>7}", no_wrap=True)
