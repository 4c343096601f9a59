"""Trouble: what a test wants to go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asynq_py.errors import InvalidOptionError


class WorkerLost(Exception):
    """What a try ended with whose worker was lost, because a test wanted it."""


@dataclass(slots=True)
class Trouble:
    """What tries of a task shall end with. `left`: so many; None: all. `cause`: None: a lost worker."""

    left: int | None
    cause: Callable[[], BaseException] | None

    @classmethod
    def of(cls, error: BaseException | type[BaseException], times: int | None) -> Trouble:
        """Raises: InvalidOptionError."""
        cause = _cause(error)
        return cls(check_times(times), cause)

    @classmethod
    def lost(cls, times: int | None) -> Trouble:
        """Raises: InvalidOptionError."""
        return cls(check_times(times), None)

    def take(self) -> bool:
        """Use it for one try. Returns False if it is used up."""
        if self.left == 0:
            return False
        self.left = None if self.left is None else self.left - 1
        return True


def check_times(times: int | None) -> int | None:
    if times is not None and (type(times) is not int or times < 1):
        raise InvalidOptionError("times", times, "one or more; or None, for all that come")
    return times


def _cause(error: object) -> Callable[[], BaseException]:
    """Raises: InvalidOptionError: it cannot be raised."""
    if isinstance(error, BaseException):
        return lambda: error
    if not (isinstance(error, type) and issubclass(error, BaseException)):
        raise InvalidOptionError("error", error, "an exception, or the class of one")
    kind = error

    def made() -> BaseException:
        return kind("as the test wants it")

    try:
        made()
    except Exception as problem:
        raise InvalidOptionError(
            "error", kind, f"an exception, as {kind.__name__} cannot be made of a text alone: {problem}"
        ) from None
    return made
