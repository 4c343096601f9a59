"""Shapes of records: dataclasses and TypedDicts; and models of msgspec and pydantic, by these themselves.

Neither library is imported here before a user's own annotation needs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from asynq_py.app.shape import Misfit, Shape, wrong


class Record:
    """Fields by name. `fields` come later, as a record may hold others of its own kind."""

    def __init__(self, name: str, kind: type, *, is_dict: bool) -> None:
        self.name = name
        self.kind = kind
        self._is_dict = is_dict
        self.fields: Mapping[str, Shape] = {}
        self.required: frozenset[str] = frozenset()

    def dump(self, value: Any, at: str) -> dict[str, Any]:
        if self._is_dict:
            if not isinstance(value, dict):
                raise wrong(at, self.name, value)
            self._check(value, at)
            return {key: self.fields[key].dump(item, f"{at}.{key}") for key, item in value.items()}
        if not isinstance(value, self.kind):
            raise wrong(at, self.name, value)
        return {key: shape.dump(getattr(value, key), f"{at}.{key}") for key, shape in self.fields.items()}

    def load(self, data: Any, at: str) -> Any:
        if not isinstance(data, dict):
            raise wrong(at, f"{self.name} as an object", data)
        self._check(data, at)
        loaded = {key: self.fields[key].load(item, f"{at}.{key}") for key, item in data.items()}
        if self._is_dict:
            return loaded
        try:
            return self.kind(**loaded)
        except (ValueError, TypeError) as error:  # what its own __post_init__ finds wrong
            raise Misfit(at, f"{self.name} refuses it: {type(error).__name__}") from None

    def _check(self, data: Mapping[Any, Any], at: str) -> None:
        if unknown := [str(key) for key in data if key not in self.fields]:
            raise Misfit(f"{at}.{unknown[0]}", f"{self.name} has no such field")
        if missing := sorted(self.required - data.keys()):
            raise Misfit(f"{at}.{missing[0]}", "missing")


class Foreign:
    """What another library checks. `to_json`, `of_json`: raise one of `refusals`, which `explain` reads.

    `schema`: its JSON Schema, with definitions of its own.
    """

    def __init__(
        self,
        name: str,
        *,
        to_json: Callable[[Any], Any],
        of_json: Callable[[Any], Any],
        refusals: tuple[type[Exception], ...],
        explain: Callable[[Exception], tuple[str, str]],
        schema: Callable[[], dict[str, Any]],
    ) -> None:
        self.name = name
        self.schema = schema
        self._to_json = to_json
        self._of_json = of_json
        self._refusals = refusals
        self._explain = explain

    def dump(self, value: Any, at: str) -> Any:
        return self._try(self._to_json, value, at)

    def load(self, data: Any, at: str) -> Any:
        return self._try(self._of_json, data, at)

    def _try(self, convert: Callable[[Any], Any], value: Any, at: str) -> Any:
        try:
            return convert(value)
        except self._refusals as error:
            inside, problem = self._explain(error)
            raise Misfit(at + inside, problem) from None


def is_msgspec(kind: Any) -> bool:
    return _is_of(kind, {"msgspec"})


def is_pydantic(kind: Any) -> bool:
    return _is_of(kind, {"pydantic", "pydantic_core", "annotated_types"})


def _is_of(kind: Any, libraries: set[str]) -> bool:
    """Is it, or its class, or what that is made from, of one of these?"""
    classes = kind.__mro__ if isinstance(kind, type) else type(kind).__mro__
    return any(cls.__module__.partition(".")[0] in libraries for cls in classes)


def of_msgspec(annotation: Any, name: str) -> Shape:
    """`annotation`: a Struct, or a type with constraints of msgspec."""
    import msgspec

    def to_json(value: Any) -> Any:
        if isinstance(annotation, type) and not isinstance(value, annotation):
            raise msgspec.ValidationError(f"expected {name}, got {type(value).__name__}")
        plain = msgspec.to_builtins(value)
        msgspec.convert(plain, annotation)  # a Struct does not check what it is made of
        return plain

    return Foreign(
        name,
        to_json=to_json,
        of_json=lambda data: msgspec.convert(data, annotation),
        refusals=(msgspec.ValidationError, TypeError),
        explain=_explain_msgspec,
        schema=lambda: msgspec.json.schema(annotation),
    )


_MSGSPEC_PATH: Final = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)

_MSGSPEC_QUOTE: Final = re.compile(r"^(Invalid enum value) .*", re.DOTALL)  # the value is private


def _explain_msgspec(error: Exception) -> tuple[str, str]:
    found = _MSGSPEC_PATH.fullmatch(str(error))
    inside, problem = ("", str(error)) if found is None else (found[2], found[1])
    return inside, _MSGSPEC_QUOTE.sub(r"\1", problem)


def of_pydantic(annotation: Any, name: str) -> Shape:
    """`annotation`: a model, or a type with constraints of pydantic."""
    import pydantic
    import pydantic_core

    adapter = pydantic.TypeAdapter(annotation)

    def to_json(value: Any) -> Any:
        if isinstance(annotation, type) and not isinstance(value, annotation):
            raise TypeError(f"expected {name}, got {type(value).__name__}")
        # by way of JSON, as it will be read: a model may have been changed, or made without being checked
        text = adapter.dump_json(value, by_alias=True, warnings=False)
        adapter.validate_json(text)
        return json.loads(text)

    return Foreign(
        name,
        to_json=to_json,
        of_json=lambda data: adapter.validate_json(json.dumps(data)),
        refusals=(pydantic.ValidationError, pydantic_core.PydanticSerializationError, TypeError),
        explain=_explain_pydantic,
        schema=lambda: adapter.json_schema(by_alias=True, mode="validation"),
    )


def _explain_pydantic(error: Exception) -> tuple[str, str]:
    import pydantic

    if not isinstance(error, pydantic.ValidationError):
        return "", str(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    inside = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return inside, str(first["msg"])
