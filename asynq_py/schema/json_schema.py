"""From shapes to JSON Schema, draft 2020-12. Pure; models of other libraries tell their own."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, TypeAlias, cast

from asynq_py.app.codec import Anything
from asynq_py.app.containers import ByKey, Either, Many, Row
from asynq_py.app.models import Foreign, Record
from asynq_py.app.scalars import Member, OneOf, Real, Same, Told
from asynq_py.app.shape import Shape
from asynq_py.schema.names import pascal, unique

Schema: TypeAlias = "dict[str, Any]"

DEFS: Final = "#/$defs/"

_SAME: Final[Mapping[type, Schema]] = {
    int: {"type": "integer"}, str: {"type": "string"}, bool: {"type": "boolean"},
    type(None): {"type": "null"},
}  # fmt: skip
_TOLD: Final[Mapping[str, Schema]] = {
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "timedelta": {"type": "number", "description": "seconds"},
    "UUID": {"type": "string", "format": "uuid"},
    "Decimal": {"type": "string", "format": "decimal"},
    "Path": {"type": "string", "format": "path"},
}
_TYPES: Final[Mapping[type, str]] = {bool: "boolean", int: "integer", float: "number", str: "string"}


class Defs:
    """Schemas that have names. The same shape is always found under the same name."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self._names: dict[tuple[type, str], str] = {}
        self._foreigners: dict[tuple[str, str], str] = {}

    def put(self, name: str, schema: Schema) -> Schema:
        """Keep a schema under that name, or the next that is free. Returns a reference to it."""
        chosen = unique(name, self.schemas)
        self.schemas[chosen] = schema
        return {"$ref": DEFS + chosen}

    def of(self, shape: Shape) -> Schema:
        """The schema of a shape, or a reference to it."""
        match shape:
            case Same():
                return dict(_SAME[shape.kind])
            case Real():
                return {"type": "number"}
            case Told():
                return dict(_TOLD[shape.name])
            case OneOf():
                return _enum([value.value if hasattr(value, "value") else value for value in shape.values])
            case Many():
                schema: Schema = {"type": "array", "items": self.of(shape.item)}
                if shape.make in (set, frozenset):
                    schema["uniqueItems"] = True
                return schema
            case Row():
                return _row([self.of(item) for item in shape.items])
            case ByKey():
                return {"type": "object", "additionalProperties": self.of(shape.value)}
            case Either():
                return _either([self.of(one) for one in shape.shapes])
            case Member() | Record():
                return self._named(shape)
            case Foreign():
                return self._foreign(shape)
            case Anything():
                return {}
        raise TypeError(f"a shape without a schema: {shape!r}")

    def _named(self, shape: Member | Record) -> Schema:
        key = (shape.kind, shape.name)  # a generic class has several shapes
        known = self._names.get(key)
        if known is None:
            known = self._names[key] = unique(pascal(shape.name), self.schemas)
            self.schemas[known] = schema = cast(Schema, {})  # before its fields: one may be of this kind
            if isinstance(shape, Member):
                schema |= _enum([member.value for member in shape.kind])
                schema["x-names"] = [member.name for member in shape.kind]
            else:
                schema |= _object(
                    {name: self.of(field) for name, field in shape.fields.items()}, sorted(shape.required)
                )
        return {"$ref": DEFS + known}

    def _foreign(self, shape: Foreign) -> Schema:
        """Take over what the other library says, its definitions under names that are free here."""
        told = deepcopy(shape.schema())
        theirs: dict[str, Schema] = told.pop("$defs", {})
        new: list[str] = []
        places: dict[str, str] = {}
        for name, schema in theirs.items():
            key = (name, repr(schema))
            if key not in self._foreigners:
                self._foreigners[key] = unique(pascal(name), self.schemas)
                self.schemas[self._foreigners[key]] = {}
                new.append(name)
            places[name] = self._foreigners[key]
        for name in new:
            self.schemas[places[name]] = _moved(theirs[name], places)
        moved: Schema = _moved(told, places)
        if "$ref" in moved or not moved.get("properties"):
            return moved
        key = (shape.name, repr(moved))
        if key not in self._foreigners:
            self._foreigners[key] = unique(pascal(shape.name), self.schemas)
            self.schemas[self._foreigners[key]] = moved
        return {"$ref": DEFS + self._foreigners[key]}


def _object(properties: Mapping[str, Schema], required: list[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    if required:
        schema["required"] = required
    return schema


def _enum(values: list[Any]) -> Schema:
    kinds = sorted({_TYPES[type(value)] for value in values if type(value) in _TYPES})
    schema: Schema = {"enum": values}
    if len(kinds) == 1 and all(type(value) in _TYPES for value in values):
        schema = {"type": kinds[0], "enum": values}
    return schema


def _row(items: list[Schema]) -> Schema:
    count = len(items)
    return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count, "items": False}


def _either(schemas: list[Schema]) -> Schema:
    if len(schemas) == 1 or {} in schemas:
        return {} if {} in schemas else schemas[0]
    return {"anyOf": schemas}


def _moved(schema: Any, places: Mapping[str, str]) -> Any:
    """With references to where the definitions stand here."""
    if isinstance(schema, dict):
        moved = {key: _moved(value, places) for key, value in schema.items()}
        ref = moved.get("$ref")
        if isinstance(ref, str) and ref.startswith(DEFS):
            moved["$ref"] = DEFS + places.get(ref.removeprefix(DEFS), ref.removeprefix(DEFS))
        moved.pop("discriminator", None)  # an OpenAPI word, whose references are elsewhere
        return moved
    return [_moved(item, places) for item in schema] if isinstance(schema, list) else schema
