"""Shapes of single values: numbers, text, moments, identifiers, members of enums."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Final
from uuid import UUID

from asynq_py.app.shape import Misfit, Shape, wrong


@dataclass(frozen=True, slots=True)
class Same:
    """What is the same in JSON. `refused`: subclasses that mean something else, as bool is no int."""

    name: str
    kind: type
    refused: tuple[type, ...] = ()

    def dump(self, value: Any, at: str) -> Any:
        return self.load(value, at)

    def load(self, data: Any, at: str) -> Any:
        if type(data) is not self.kind and (
            not isinstance(data, self.kind) or isinstance(data, self.refused)
        ):
            raise wrong(at, self.name, data)
        return data


@dataclass(frozen=True, slots=True)
class Real:
    """A float; whole numbers will do."""

    name: str = "float"

    def dump(self, value: Any, at: str) -> float:
        return self.load(value, at)

    def load(self, data: Any, at: str) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise wrong(at, self.name, data)
        try:
            number = float(data)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise Misfit(at, "expected a finite number, as JSON has no other")
        return number


@dataclass(frozen=True, slots=True)
class Told:
    """What JSON tells in other words. `told_as`: in errors. `refused`: subclasses that are told otherwise."""

    name: str
    kind: type
    to_json: Callable[[Any], Any]
    of_json: Callable[[Any], Any]
    told_as: str
    json_kinds: tuple[type, ...] = (str,)
    refused: tuple[type, ...] = ()

    def dump(self, value: Any, at: str) -> Any:
        if not isinstance(value, self.kind) or isinstance(value, self.refused):
            raise wrong(at, self.name, value)
        return self.to_json(value)

    def load(self, data: Any, at: str) -> Any:
        expected = f"{self.name} as {self.told_as}"
        if not isinstance(data, self.json_kinds) or isinstance(data, bool):
            raise wrong(at, expected, data)
        try:
            return self.of_json(data)
        except (ValueError, ArithmeticError):
            raise Misfit(at, f"expected {expected}") from None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an enum, told by its value."""

    name: str
    kind: type[Enum]

    def dump(self, value: Any, at: str) -> Any:
        if not isinstance(value, self.kind):
            raise wrong(at, self.name, value)
        told = value.value
        if told is not None and not isinstance(told, str | int | float):
            raise Misfit(at, f"JSON cannot tell {value}: its value is no text, number, boolean or None")
        return told

    def load(self, data: Any, at: str) -> Any:
        try:
            return self.kind(data)
        except ValueError:
            values = ", ".join(repr(member.value) for member in self.kind)
            raise Misfit(at, f"expected {self.name}: one of {values}") from None


@dataclass(frozen=True, slots=True)
class OneOf:
    """A Literal. Values are told apart by type, too: True is not 1."""

    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        return f"one of {', '.join(map(repr, self.values))}"

    def dump(self, value: Any, at: str) -> Any:
        found = self.load(value, at)
        return found.value if isinstance(found, Enum) else found

    def load(self, data: Any, at: str) -> Any:
        for value in self.values:
            plain = value.value if isinstance(value, Enum) and not isinstance(data, Enum) else value
            if type(plain) is type(data) and plain == data:
                return value
        raise Misfit(at, f"expected {self.name}")


def _seconds(value: timedelta) -> float:
    seconds = value.total_seconds()
    return int(seconds) if seconds == int(seconds) else seconds


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


SCALARS: Final[Mapping[Any, Shape]] = {
    int: Same("int", int, (bool,)),
    bool: Same("bool", bool),
    str: Same("str", str),
    float: Real(),
    None: Same("None", type(None)),
    type(None): Same("None", type(None)),
    bytes: Told("bytes", bytes, lambda b: base64.b64encode(b).decode(), _decoded, "base64 text"),
    datetime: Told("datetime", datetime, datetime.isoformat, datetime.fromisoformat, "ISO 8601 text"),
    date: Told("date", date, date.isoformat, date.fromisoformat, "ISO 8601 text", refused=(datetime,)),
    time: Told("time", time, time.isoformat, time.fromisoformat, "ISO 8601 text"),
    timedelta: Told("timedelta", timedelta, _seconds, _span, "a number of seconds", (int, float)),
    UUID: Told("UUID", UUID, str, UUID, "text"),
    Decimal: Told("Decimal", Decimal, str, lambda n: Decimal(str(n)), "text or a number", (str, int, float)),
    Path: Told("Path", PurePath, str, Path, "text"),
}
