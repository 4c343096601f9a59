"""Shapes of what holds other values: lists, tuples, sets, mappings, unions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from asynq_py.app.shape import Misfit, Shape, wrong


@dataclass(frozen=True, slots=True)
class Many:
    """Values of one shape. `kinds`: what is taken; `make`: what is given."""

    name: str
    item: Shape
    kinds: tuple[type, ...]
    make: Callable[[Iterable[Any]], Any]

    def dump(self, value: Any, at: str) -> list[Any]:
        is_one = isinstance(value, self.kinds) and not isinstance(value, str | bytes)
        if not is_one:
            raise wrong(at, self.name, value)
        return [self.item.dump(item, f"{at}[{place}]") for place, item in enumerate(value)]

    def load(self, data: Any, at: str) -> Any:
        if not isinstance(data, list):
            raise wrong(at, f"{self.name} as an array", data)
        try:
            return self.make([self.item.load(item, f"{at}[{place}]") for place, item in enumerate(data)])
        except TypeError:  # a set of what cannot be hashed
            raise Misfit(at, f"expected {self.name}") from None


@dataclass(frozen=True, slots=True)
class Row:
    """A tuple with a shape for each place."""

    name: str
    items: tuple[Shape, ...]
    make: Callable[[Iterable[Any]], Any] = tuple

    def dump(self, value: Any, at: str) -> list[Any]:
        if not isinstance(value, tuple):
            raise wrong(at, self.name, value)
        return [item.dump(part, f"{at}[{n}]") for n, item, part in self._places(value, at)]

    def load(self, data: Any, at: str) -> Any:
        if not isinstance(data, list):
            raise wrong(at, f"{self.name} as an array", data)
        return self.make([item.load(part, f"{at}[{n}]") for n, item, part in self._places(data, at)])

    def _places(self, parts: Any, at: str) -> list[tuple[int, Shape, Any]]:
        if len(parts) != len(self.items):
            raise Misfit(at, f"expected {len(self.items)} values, got {len(parts)}")
        return [(n, item, part) for n, (item, part) in enumerate(zip(self.items, parts, strict=True))]


@dataclass(frozen=True, slots=True)
class ByKey:
    """A mapping. JSON has text for keys: numbers and booleans are told as text."""

    name: str
    key: Shape
    value: Shape

    def dump(self, value: Any, at: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise wrong(at, self.name, value)
        return {
            _as_text(self.key.dump(key, f"{at} (a key)")): self.value.dump(item, f"{at}[{key!s}]")
            for key, item in value.items()
        }

    def load(self, data: Any, at: str) -> Any:
        if not isinstance(data, dict):
            raise wrong(at, f"{self.name} as an object", data)
        return {self._key(key, at): self.value.load(item, f"{at}[{key}]") for key, item in data.items()}

    def _key(self, text: str, at: str) -> Any:
        try:
            return self.key.load(text, f"{at} (a key)")
        except Misfit:
            return self.key.load(_of_text(text), f"{at} (a key)")


def _as_text(key: Any) -> str:
    match key:
        case str():
            return key
        case True | False:
            return str(key).lower()
        case _:
            return str(key)


def _of_text(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@dataclass(frozen=True, slots=True)
class Either:
    """A union: the first shape that fits."""

    shapes: tuple[Shape, ...]

    @property
    def name(self) -> str:
        return " | ".join(shape.name for shape in self.shapes)

    def dump(self, value: Any, at: str) -> Any:
        return self._first("dump", value, at)

    def load(self, data: Any, at: str) -> Any:
        return self._first("load", data, at)

    def _first(self, way: str, value: Any, at: str) -> Any:
        deepest: Misfit | None = None
        for shape in self.shapes:
            try:
                return shape.dump(value, at) if way == "dump" else shape.load(value, at)
            except Misfit as misfit:
                if len(misfit.at) > len(at) and (deepest is None or len(misfit.at) > len(deepest.at)):
                    deepest = misfit
        # the one that went furthest is what was meant
        raise wrong(at, self.name, value) if deepest is None else deepest
