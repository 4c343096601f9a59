"""How people read values: spans, instants, sizes, and bytes that may be anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

NOTHING: Final = "-"
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def span(seconds: float) -> str:
    """`5400` → `1h30m`, `0.25` → `250ms`: the two greatest units."""
    if 0 < seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    rest, words = round(seconds), list[str]()
    for length, unit in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            words.append(f"{count}{unit}")
        elif words:
            break
    return "".join(words[:2]) or "0s"


def when(at: datetime | None, now: datetime) -> str:
    """`in 5m`, `now`, `2h3m ago`."""
    if at is None:
        return NOTHING
    seconds = (at - now).total_seconds()
    if abs(seconds) < 0.5:
        return "now"
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def instant(at: datetime | None) -> str:
    """`2026-01-31 12:00:00Z`."""
    return NOTHING if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def moment(at: datetime | None, now: datetime) -> str:
    """`2026-01-31 12:00:00Z, 5m ago`."""
    return NOTHING if at is None else f"{instant(at)}, {when(at, now)}"


def size(count: float) -> str:
    """`1536` → `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def share(part: int, whole: int) -> str:
    """`1`, `8` → `12.50%`."""
    return f"{part / whole:.2%}" if whole else NOTHING


def content(data: bytes | None) -> str:
    """A payload or result, if people can read it."""
    if data is None:
        return NOTHING
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"{len(data)} bytes, no text"
    return printable(text) if text.strip() or not text else f"{len(data)} blanks"


def printable(text: str) -> str:
    """Write out what would steer a terminal: `\\n`, `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )
