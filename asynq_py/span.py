"""Spans as people write them: "90s", "1h30m", "2d"."""

from __future__ import annotations

import re
from typing import Final

TOLD: Final = 'text such as "90s", "1h30m" or "2d"'

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])\s*", re.ASCII)
_SPAN: Final = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_LONGEST: Final = 100  # characters


def seconds_in(text: str) -> float | None:
    """Seconds of a number and a unit (ms, s, m, h, d, w), or several; None: it is no such text."""
    told = text.strip()
    if len(told) > _LONGEST or _SPAN.fullmatch(told) is None:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(told))
