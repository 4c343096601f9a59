"""Codec: from an annotation to its Shape. Standard library alone, but for models of other libraries."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import Path, PurePath
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union

from asynq_py.app import models
from asynq_py.app.containers import ByKey, Either, Many, Row
from asynq_py.app.models import Record
from asynq_py.app.scalars import SCALARS, Member, OneOf, Same
from asynq_py.app.shape import Misfit, Shape

_LISTS: Final = (list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
_SETS: Final = (set, abc.Set, abc.MutableSet)
_MODULES: Final = re.compile(r"(?:(?:\w+|<locals>)\.)+(?=\w)")
_MAPPINGS: Final = (dict, abc.Mapping, abc.MutableMapping)


class UnknownTypeError(Exception):
    """JSON is not known to hold values of this annotation."""


class Codec:
    """Makes shapes. `names`: what annotations may mean beside what their modules say."""

    def __init__(self, names: Mapping[str, Any] | None = None) -> None:
        self._names = dict(names or {})
        self._records: dict[Any, Shape] = {}
        self._meanings: dict[Any, Any] = {}  # of type variables, in the record that is looked at

    def shape(self, annotation: Any) -> Shape:
        """Raises: UnknownTypeError."""
        if annotation in (Any, object):
            return Anything(self)
        scalar = SCALARS.get(annotation) if isinstance(annotation, abc.Hashable) else None
        if scalar is not None:
            return scalar
        if isinstance(annotation, TypeVar):
            return self.shape(self._meanings.get(annotation, annotation.__bound__ or Any))
        if annotation is typing.LiteralString:
            return SCALARS[str]
        if isinstance(annotation, NewType):
            return self.shape(annotation.__supertype__)
        if alias := getattr(annotation, "__value__", None):  # `type X = …`
            return self.shape(alias)
        origin = typing.get_origin(annotation)
        if origin is not None:
            return self._generic(annotation, origin, typing.get_args(annotation))
        if isinstance(annotation, type):
            return self._class(annotation)
        raise UnknownTypeError(name_of(annotation))

    def _generic(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Shape:
        name = name_of(annotation)
        if origin is Annotated:
            return self._annotated(annotation, args)
        if origin in (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar):
            return self.shape(args[0])
        if origin is Literal:
            return OneOf(args)
        if origin in (Union, types.UnionType):
            return self._either(args)
        if origin is tuple and not (len(args) == 2 and args[1] is ...):
            return Row(name, tuple(map(self.shape, args)))
        many = _many(origin)
        if many is not None:
            return Many(name, self.shape(args[0]), *many)
        if origin in _MAPPINGS:
            return ByKey(name, self._key(args[0]), self.shape(args[1]))
        if models.is_msgspec(origin):
            return models.of_msgspec(annotation, name)
        if models.is_pydantic(origin):
            return models.of_pydantic(annotation, name)
        return self._class(origin, annotation)

    def _annotated(self, annotation: Any, args: tuple[Any, ...]) -> Shape:
        """Constraints are checked by the library whose they are; what else is noted is not about values."""
        if any(map(models.is_msgspec, args[1:])):
            return models.of_msgspec(annotation, name_of(args[0]))
        if any(map(models.is_pydantic, args[1:])):
            return models.of_pydantic(annotation, name_of(args[0]))
        return self.shape(args[0])

    def _either(self, args: tuple[Any, ...]) -> Shape:
        # a float takes whole numbers, too, so int comes first; and a datetime what is the text of a date
        ordered = sorted(args, key=lambda arg: arg is float)
        if date in args and datetime in args:
            ordered.remove(date)
            ordered.insert(ordered.index(datetime), date)
        if bytes in args and not {str, Path}.isdisjoint(args):
            # any text of base64 would be taken for bytes, or bytes for text
            raise UnknownTypeError("a union of bytes and text, which are both text in JSON,")
        return Either(tuple(map(self.shape, ordered)))

    def _key(self, annotation: Any) -> Shape:
        """Raises: UnknownTypeError: no text tells it."""
        shape = self.shape(annotation)
        if not _is_told_by_text(shape):
            raise UnknownTypeError(f"{name_of(annotation)}, as a key,")
        return shape

    def _class(self, kind: type, annotation: Any = None) -> Shape:
        if many := _many(kind):
            return Many(kind.__name__, self.shape(Any), *many)
        if kind in _MAPPINGS:
            return ByKey(kind.__name__, self.shape(Any), self.shape(Any))
        whole = self._resolved(kind if annotation is None else annotation)
        if whole in self._records:
            return self._records[whole]
        if models.is_msgspec(kind):
            return models.of_msgspec(kind, kind.__name__)
        if models.is_pydantic(kind):
            return models.of_pydantic(kind, kind.__name__)
        if issubclass(kind, Enum):
            return Member(kind.__name__, kind)
        if issubclass(kind, PurePath):
            return SCALARS[Path]
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            named: Any = kind
            hints = typing.get_type_hints(kind, localns=self._names)
            places = tuple(self.shape(hints.get(field, Any)) for field in named._fields)
            return Row(kind.__name__, places, named._make)
        if is_record(kind):
            return self._record(kind, whole)
        raise UnknownTypeError(name_of(kind))

    def _record(self, kind: type, annotation: Any) -> Shape:
        record = Record(name_of(annotation), kind, is_dict=typing.is_typeddict(kind))
        self._records[annotation] = record  # before its fields: one of them may be of this kind
        before, self._meanings = self._meanings, _meanings(annotation)
        try:
            hints = typing.get_type_hints(kind, localns=self._names, include_extras=True)
            if typing.is_typeddict(kind):
                record.fields = {name: self.shape(hint) for name, hint in hints.items()}
                record.required = _required_keys(kind, hints)
            else:
                if lost := [name for name, hint in hints.items() if _is_lost(kind, name, hint)]:
                    raise UnknownTypeError(f"{kind.__name__}, whose {lost[0]} is gone once it is made,")
                fields = [field for field in dataclasses.fields(kind) if field.init]
                record.fields = {field.name: self.shape(hints[field.name]) for field in fields}
                record.required = frozenset(field.name for field in fields if _has_no_default(field))
        except BaseException:
            del self._records[annotation]
            raise
        finally:
            self._meanings = before
        return record

    def _resolved(self, annotation: Any) -> Any:
        """Put in what type variables mean here."""
        if isinstance(annotation, TypeVar):
            return self._meanings.get(annotation, Any)
        parameters = getattr(annotation, "__parameters__", ())
        if not parameters or (isinstance(annotation, type) and typing.get_origin(annotation) is None):
            return annotation
        generic: Any = annotation
        return generic[tuple(self._resolved(parameter) for parameter in parameters)]


class Anything:
    """Whatever JSON can hold, and on the way there also what the other shapes can tell."""

    def __init__(self, codec: Codec) -> None:
        self.name = "what JSON can hold"
        self._codec = codec

    def dump(self, value: Any, at: str) -> Any:
        match value:
            case Enum():
                return value.value
            case str() | int() | None:
                return value
            case dict():
                return ByKey(self.name, _KEY, self).dump(value, at)
            case list() | set() | frozenset():
                return [self.dump(item, f"{at}[{place}]") for place, item in enumerate(value)]
            case tuple() if not hasattr(value, "_fields"):
                return [self.dump(item, f"{at}[{place}]") for place, item in enumerate(value)]
        try:
            shape = self._codec.shape(type(value))
        except UnknownTypeError:
            shape = self
        if shape is self or type(value) is object:
            raise Misfit(at, f"JSON cannot hold {type(value).__name__}")
        return shape.dump(value, at)

    def load(self, data: Any, at: str) -> Any:
        return data


_KEY: Final = Either(tuple(SCALARS[kind] for kind in (str, bool, int, float)))


def is_record(annotation: Any) -> bool:
    """Is it a model, whose fields are a whole payload?"""
    kind = typing.get_origin(annotation) or annotation
    if kind is Annotated:
        return is_record(typing.get_args(annotation)[0])
    if not isinstance(kind, type):
        return False
    if typing.is_typeddict(kind) or dataclasses.is_dataclass(kind):
        return True
    return _has_base(kind, "msgspec", "Struct") or _has_base(kind, "pydantic", "BaseModel")


def name_of(annotation: Any) -> str:
    """As one would write it, without the modules."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__name__
    return _MODULES.sub("", str(annotation))


def _has_base(kind: type, library: str, name: str) -> bool:
    return any(
        cls.__name__ == name and cls.__module__.partition(".")[0] == library for cls in kind.__mro__[1:]
    )


def _meanings(annotation: Any) -> dict[Any, Any]:
    """What the type variables of a class mean, and those of the classes that it is made from."""
    kind: Any = typing.get_origin(annotation) or annotation
    parameters: tuple[Any, ...] = getattr(kind, "__parameters__", ())
    found: dict[Any, Any] = dict(zip(parameters, typing.get_args(annotation), strict=False))
    for base in getattr(kind, "__orig_bases__", ()):
        if typing.get_origin(base) in (None, typing.Generic, typing.Protocol):
            continue
        for variable, meaning in _meanings(base).items():
            found.setdefault(
                variable, found.get(meaning, meaning) if isinstance(meaning, TypeVar) else meaning
            )
    return found


def _is_lost(kind: Any, name: str, hint: Any) -> bool:
    """Is it taken when one is made, without a default, and not kept?"""
    return isinstance(hint, dataclasses.InitVar) and not hasattr(kind, name)


def _is_told_by_text(shape: Shape) -> bool:
    """Can it be a key?"""
    match shape:
        case Either(shapes):
            return all(map(_is_told_by_text, shapes))
        case Same(kind=kind):
            return kind is not type(None)
        case _:
            return not isinstance(shape, Many | Row | ByKey | Record)


def _required_keys(kind: Any, hints: Mapping[str, Any]) -> frozenset[str]:
    """`__required_keys__` alone does not see into annotations that are text."""
    said = {name: typing.get_origin(hint) for name, hint in hints.items()}
    return frozenset(
        name
        for name, what in said.items()
        if what is not typing.NotRequired and (what is typing.Required or name in kind.__required_keys__)
    )


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _many(origin: Any) -> tuple[tuple[type, ...], Callable[[Iterable[Any]], Any]] | None:
    """What such a collection is made of, and how it is made."""
    if origin is list:
        return (list,), list
    if origin in _LISTS:
        return (abc.Collection,), list
    if origin is tuple:
        return (tuple,), tuple
    if origin is frozenset:
        return (frozenset,), frozenset
    return ((abc.Set,), set) if origin in _SETS else None
