"""Progress: how far a running task has come, as its handler reports it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from asynq_py.clock import instant
from asynq_py.errors import InvalidOptionError

NOTE_LIMIT: Final = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`done` of `total`, in whatever is counted; `total` and `note` may be unknown. `at`: when."""

    done: float
    total: float | None
    note: str | None
    at: datetime

    @property
    def fraction(self) -> float | None:
        """From 0 to 1, which it is of nothing, too; None if the total is not known."""
        if self.total is None:
            return None
        return min(self.done / self.total, 1.0) if self.total else 1.0

    def __str__(self) -> str:
        text = f"{self.done:g}"
        if self.total is not None and self.fraction is not None:
            text = f"{self.done:g} of {self.total:g} ({self.fraction:.0%})"
        return text if self.note is None else f"{text}, {self.note}"


def report(done: float, total: float | None, note: str | None, *, at: float, retried: int) -> bytes:
    """Encode a report. `at`: Unix seconds. `retried`: of the try. Raises: InvalidOptionError."""
    if not _is_number(done) or done < 0:
        raise InvalidOptionError("done", done, "a number, zero or more")
    if total is not None and (not _is_number(total) or total < 0):
        raise InvalidOptionError("total", total, "a number, zero or more, or None")
    if note is not None and not isinstance(note, str):
        raise InvalidOptionError("note", type(note), "text, or None")
    given: dict[str, Any] = {"done": done, "at": round(at, 3), "retried": retried}
    if total is not None:
        given["total"] = total
    if note is not None:
        given["note"] = note[:NOTE_LIMIT].encode("utf-8", "replace").decode()
    return json.dumps(given, separators=(",", ":"), ensure_ascii=False).encode()


def read(data: bytes | None, *, retried: int | None = None) -> Progress | None:
    """Decode a report. What is none is None, and so is, where `retried` is given, one of another try."""
    try:
        given = json.loads(data or b"")
        done, total, note, at = given["done"], given.get("total"), given.get("note"), given["at"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    is_sound = _is_number(done) and _is_number(at) and (total is None or (_is_number(total) and total >= 0))
    if not is_sound or (retried is not None and given.get("retried") != retried):
        return None
    return Progress(done=done, total=total, note=note if isinstance(note, str) else None, at=instant(at))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
