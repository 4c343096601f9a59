"""What a rate is, and how it is written: "100/m", "10/30s", "5/s burst 20". Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from asynq_py.errors import InvalidOptionError

MOST: Final = 1_000_000
MOST_TURNS: Final = 10_000  # of a window without burst: each of its turns is remembered in Redis
LONGEST: Final = 366 * 24 * 3600.0

_ALLOWED: Final = (
    'text such as "100/m", "10/30s" or "5/s burst 20": a count, a slash, a time in s, m, h or d of one '
    "second to 366 days, perhaps a burst; "
    f"counts from 1 to {MOST}, without a burst at most {MOST_TURNS}"
)
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WORDS: Final = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h", "day": "d"}
_SHAPE: Final = re.compile(
    rf"(\d{{1,9}}) ?/ ?(\d{{0,9}}) ?({'|'.join((*_WORDS, *_UNITS))})(?: burst (\d{{1,9}}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` in `period` seconds. Without `burst`: never more in any period. With it: evenly, and so many at
    once after a pause.
    """

    count: int
    period: float
    burst: int | None = None

    @classmethod
    def parse(cls, text: object) -> Rate:
        """Raises: InvalidOptionError."""
        shape = _SHAPE.fullmatch(text.strip()) if isinstance(text, str) else None
        if shape is None:
            raise InvalidOptionError("rate", text, _ALLOWED)
        count, times, unit, burst = shape.groups()
        period = int(times or 1) * _UNITS[_WORDS.get(unit, unit)]
        rate = cls(int(count), period, None if burst is None else int(burst))
        if not (
            1 <= rate.count <= (MOST_TURNS if rate.burst is None else MOST)
            and 1 <= period <= LONGEST
            and (rate.burst is None or 1 <= rate.burst <= MOST)
        ):
            raise InvalidOptionError("rate", text, _ALLOWED)
        return rate
