"""IDs for tasks that were given none: random UUIDs, as in Go."""

from __future__ import annotations

import os
from typing import Final

AT_ONCE: Final = 64  # IDs made from one call of the system
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class TaskIDs:
    """A supply of random UUIDs (version 4, text form).

    Random bytes are asked of the system for many IDs at once. A forked child shares none with its parent.
    """

    def __init__(self) -> None:
        self._supply: list[str] = []
        self._pid = 0

    def next(self) -> str:
        if not self._supply or self._pid != os.getpid():
            self._pid = os.getpid()
            digits = os.urandom(16 * AT_ONCE).hex()
            self._supply = [_uuid4(digits[at : at + 32]) for at in range(0, len(digits), 32)]
        return self._supply.pop()


def _uuid4(digits: str) -> str:
    """32 random digits, in their groups, with version and variant in place (RFC 9562)."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
