"""Finding: what one check has to say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How bad it is. `skipped`: this user may not ask, or this server cannot answer."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


_WEIGHT: Final = {Level.OK: 0, Level.SKIPPED: 1, Level.WARNING: 2, Level.ERROR: 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice`: what to do about it, or why the check was skipped."""

    check: str
    level: Level
    what: str
    advice: str = ""


def ok(check: str, what: str) -> Finding:
    return Finding(check, Level.OK, what)


def warning(check: str, what: str, advice: str) -> Finding:
    return Finding(check, Level.WARNING, what, advice)


def error(check: str, what: str, advice: str) -> Finding:
    return Finding(check, Level.ERROR, what, advice)


def skipped(check: str, what: str, why: str = "") -> Finding:
    return Finding(check, Level.SKIPPED, what, why)


def worst(levels: Iterable[Level]) -> Level:
    """The worst of them; ok where there is none."""
    return max(levels, key=_WEIGHT.__getitem__, default=Level.OK)
