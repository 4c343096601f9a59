"""How Go writes durations, dates and strings. Wire format 3.6."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

# nanoseconds; the micro sign comes as U+00B5 and as U+03BC
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)", re.ASCII)
_LONGEST: Final = 100  # characters of a duration; to look for a unit behind many digits would take long
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ESCAPES: Final = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
    "\v": "\\v",
}  # fmt: skip
_UNESCAPED: Final = {text[1]: char for char, text in _ESCAPES.items()}
_ESCAPED: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\"\\abfnrtv]))", re.ASCII
)


def duration(seconds: float) -> str:
    """`90` → `1m30s`, `0.5` → `500ms`."""
    ns = round(seconds * 1_000_000_000)
    if ns == 0:
        return "0s"
    for unit in ("ns", "\u00b5s", "ms"):
        if ns < _UNITS[unit] * 1000:
            return _decimal(ns, _UNITS[unit]) + unit
    minutes, ns = divmod(ns, _UNITS["m"])
    text = _decimal(ns, _UNITS["s"]) + "s"
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60}m{text}"
    return f"{minutes}m{text}" if minutes else text


def parse_duration(text: str) -> float:
    """`1m30s` → `90.0`, as Go reads it; no sign. Raises: ValueError."""
    if text == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(text) <= _LONGEST:
        part = _PART.match(text, at)
        if part is None:
            break
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if at == 0 or at < len(text):
        raise ValueError(f"{text!r} is no duration such as 1h30m or 10s")
    return total / 1_000_000_000


def date(at: float) -> str:
    """Unix seconds → `Tue Jan  2 03:04:05 UTC 2024`, whatever the locale."""
    t = datetime.fromtimestamp(int(at), UTC)
    return f"{_DAYS[t.weekday()]} {_MONTHS[t.month - 1]} {t.day:2d} {t:%H:%M:%S} UTC {t.year:04d}"


def parse_date(text: str) -> datetime:
    """Read what `date` writes; a zone other than UTC counts as UTC. Raises: ValueError."""
    try:
        _, month, day, clock, _, year = text.split()
        hour, minute, second = map(int, clock.split(":"))
        return datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    except (ValueError, OverflowError) as error:  # the latter for years beyond what C can hold
        raise ValueError(f"{text!r} is no date such as Tue Jan  2 03:04:05 UTC 2024") from error


def quote(text: str) -> str:
    """Quote as Go's `strconv.Quote`."""
    return f'"{"".join(map(_escaped, text))}"'


def unquote(text: str) -> str:
    """Read what `quote` writes. Raises: ValueError."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise ValueError(f"{text!r} is not quoted")
    try:
        return _ESCAPED.sub(_unescaped, text[1:-1])
    except OverflowError as error:
        raise ValueError(f"{text!r} names a character that there is not") from error


def _decimal(ns: int, unit: int) -> str:
    whole, part = divmod(ns, unit)
    digits = str(part).zfill(len(str(unit)) - 1).rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _UNESCAPED[match[4]]
