"""What a thing to be fuzzed is, and how it is tried: one input at a time, each from a number of its own."""

from __future__ import annotations

import contextlib
import random
import signal
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

MOST_CPU: Final = 1.0
"""Seconds of processor time that one input may take. Not of a clock: machines pause."""
ENOUGH: Final = 20  # finds that are kept of one target


class Target(ABC):
    """Something that reads. `name`: what reports call it."""

    name: str

    @abstractmethod
    def try_one(self, random: random.Random) -> None:
        """Make an input and let it be read. Raises: anything: that is a find."""

    def close(self) -> None:  # noqa: B027  # most targets hold nothing
        """Give back what the target holds."""


class Hang(Exception):
    """An input took too much time."""


@dataclass(frozen=True, slots=True)
class Find:
    """An input that was read badly. `number`: of the input; the same number makes the same input."""

    target: str
    number: int
    trace: str
    is_hang: bool


@dataclass(slots=True)
class Tally:
    """How many inputs were tried, and what was found."""

    inputs: int = 0
    finds: list[Find] = field(default_factory=list)


def try_numbers(target: Target, numbers: Iterator[int], tally: Tally, *, until: float) -> None:
    """Try the inputs of these numbers, until a moment of the monotonic clock, or until enough is found."""
    for number in numbers:
        try:
            with _limited():
                target.try_one(random.Random(f"{target.name}:{number}"))
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            tally.finds.append(Find(target.name, number, trace, isinstance(error, Hang)))
        tally.inputs += 1
        if time.monotonic() >= until or len(tally.finds) >= ENOUGH:
            return


@contextlib.contextmanager
def _limited() -> Generator[None]:
    """Raise Hang where the processor is used for too long."""

    def too_long(number: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {MOST_CPU} s of processor time")

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
