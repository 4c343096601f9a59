"""A filter over all tasks of a state: however many there are, a bounded part of them in each pass."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from asynq_py import Inspector, TaskInfo
from asynq_py.cli import states

BUDGET: Final = 4_000  # tasks that one pass reads at most
MOST: Final = 10_000  # finds that are kept


def matches(info: TaskInfo, wanted: str) -> bool:
    """`email:*` is a pattern for the type; other text may be in ID, type, payload or error."""
    if any(char in wanted for char in "*?["):
        return fnmatchcase(info.type, wanted)
    return (
        wanted in info.id
        or wanted in info.type
        or wanted.encode("utf-8", "surrogateescape") in info.payload
        or wanted in (info.last_error or "")
    )


class Search:
    """Goes through the tasks once, from the head on. `found`: matches up to now, `seen`: tasks read."""

    def __init__(self, inspector: Inspector, queue: str, state: str, group: str | None, wanted: str) -> None:
        self._wanted = wanted
        self._walk = states.walk(inspector, queue, state, group)
        self.found: list[TaskInfo] = []
        self.seen = 0
        self.is_over = False

    async def reach(self, count: int) -> bool:
        """Read on until so many are found, within the budget of a pass. Returns whether that is done.

        Raises: BrokerUnavailableError: the search is over then, and another must begin.
        """
        count, last = min(count, MOST), self.seen + BUDGET
        while not self.is_over and len(self.found) < count and self.seen < last:
            info = await anext(self._walk, None)
            if info is None:
                self.is_over = True
            else:
                self.seen += 1
                if matches(info, self._wanted):
                    self.found.append(info)
        return self.is_over or len(self.found) >= count
