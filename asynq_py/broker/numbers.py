"""Numbers as Redis holds them: as text, and in places where anybody may have written."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 20  # digits and a sign: no counter of Redis has more


def whole(text: bytes | int | None) -> int:
    """Read a whole number. What is none counts as 0."""
    if not text or isinstance(text, int):
        return text or 0
    try:
        return int(text) if len(text) <= _LONGEST else 0
    except ValueError:
        return 0
