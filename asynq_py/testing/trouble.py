"""Trouble: what a test wants to go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class WorkerLost(Exception):
    """What a try ended with whose worker was lost, because a test wanted it."""


@dataclass(slots=True)
class Trouble:
    """What tries of a task shall end with. `left`: so many; None: all. `cause`: None: a lost worker."""

    left: int | None
    cause: Callable[[], BaseException] | None

    @classmethod
    def of(cls, error: BaseException | type[BaseException], times: int | None) -> Trouble:
        if isinstance(error, type):
            return cls(times, lambda: error("as the test wants it"))
        return cls(times, lambda: error)

    def take(self) -> bool:
        """Use it for one try. Returns False if it is used up."""
        if self.left == 0:
            return False
        self.left = None if self.left is None else self.left - 1
        return True
