"""Which types of tasks get series of their own: anybody who enqueues may invent types."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

MOST_TYPES: Final = 100  # those seen later share one
OTHER: Final = "other"


class TaskTypes:
    """`types`: these, and all others share "other". None: the first `most` that are seen."""

    def __init__(self, types: Collection[str] | None, most: int = MOST_TYPES) -> None:
        self._types = set() if types is None else set(types)
        self._most = most if types is None else 0

    def label(self, name: str) -> str:
        if name in self._types:
            return name
        if len(self._types) < self._most:
            self._types.add(name)
            return name
        return OTHER
