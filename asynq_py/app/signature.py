"""Signature: arguments ↔ payload. Pure.

A payload is a JSON object by the names of the parameters, or the one parameter itself if that is a model.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from asynq_py.app.codec import Codec, UnknownTypeError, is_record, name_of
from asynq_py.app.dependencies import Injections, injected
from asynq_py.app.shape import JSON_NAMES, Misfit, Shape
from asynq_py.errors import InvalidOptionError, PayloadError
from asynq_py.step_text import WHOLE

Arguments: TypeAlias = "tuple[list[Any], dict[str, Any]]"

NO_ARGUMENTS: Final = b"{}"
NO_INJECTIONS: Final = Injections({}, {})
_MISSING: Final = object()
_ANYTHING: Final = Codec().shape(Any)
_TOO_DEEP: Final = "it is nested too deeply"


class Previous:
    """The type of `previous`."""

    def __repr__(self) -> str:
        return "previous"


previous: Final[Any] = Previous()
"""Stands for the result of the step before, among the arguments of a step."""


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter. `default`: as JSON, if it has one that JSON can hold; else it is left out."""

    name: str
    shape: Shape
    is_required: bool
    is_positional: bool
    default: Mapping[str, Any]


class Signature:
    """What a function takes and returns.

    `model`: its one parameter is the payload, whatever its name. `injections`: parameters that the payload
    has no part in.
    """

    def __init__(
        self,
        parameters: inspect.Signature,
        fields: Mapping[str, Field],
        returns: Shape,
        injections: Injections = NO_INJECTIONS,
    ) -> None:
        self._all = parameters
        self._parameters = _without(parameters, injections.wants)
        self.injections = injections
        self._fields = fields
        self._returns = returns
        self._model: Field | None = None

    @classmethod
    def of(
        cls, function: Callable[..., Any], names: Mapping[str, Any], *, may_inject: bool = True
    ) -> Signature:
        """Read the annotations of a function. `names`: what they may mean beside what its module says.

        Raises: InvalidOptionError: a parameter that no JSON object can fill, or nobody. NameError: an
        annotation means nothing, or not yet.
        """
        codec = Codec(names)
        hints = typing.get_type_hints(function, localns=dict(names), include_extras=True)
        parameters = inspect.signature(function)
        injections = Injections.of(parameters, hints, names) or NO_INJECTIONS
        if injections.wants and not may_inject:
            raise InvalidOptionError(
                "executor", "process", f"without injected parameters, such as {next(iter(injections.wants))}"
            )
        fields = {
            name: _field(parameter, hints.get(name, Any), codec)
            for name, parameter in parameters.parameters.items()
            if name not in injections.wants
        }
        try:
            returns = codec.shape(hints.get("return", Any))
        except UnknownTypeError:  # it matters only where a result is kept
            returns = codec.shape(Any)
        self = cls(parameters, fields, returns, injections)
        if len(fields) == 1 and is_record(hints.get(next(iter(fields)))):
            (self._model,) = fields.values()
        return self

    @classmethod
    def remote(cls, payload: Any, result: Any) -> Signature:
        """What a handler elsewhere takes: one value, which is the payload. Raises: InvalidOptionError."""
        parameter = inspect.Parameter("payload", inspect.Parameter.POSITIONAL_ONLY)
        codec = Codec()
        field = _field(parameter, payload, codec)
        try:
            returns = codec.shape(result)
        except UnknownTypeError as error:
            raise InvalidOptionError("result", result, f"a type that JSON can hold, not {error}") from None
        self = cls(inspect.Signature([parameter]), {"payload": field}, returns)
        self._model = field
        return self

    @property
    def fields(self) -> Mapping[str, Field]:
        """The parameters that a payload has, by name."""
        return self._fields

    @property
    def model(self) -> Field | None:
        """The one parameter that is the whole payload, if it is so."""
        return self._model

    @property
    def returns(self) -> Shape:
        return self._returns

    def dump(self, task_type: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """Make the payload of a call. Raises: PayloadError."""
        bound = self._bound(task_type, args, kwargs)
        try:
            data: dict[str, Any] = {}
            for name, field in self._fields.items():
                data |= {name: field.shape.dump(bound[name], name)} if name in bound else field.default
            if self._model is None:
                return _encoded(data)
            return _encoded(data[self._model.name]) if data else b""
        except Misfit as misfit:
            raise PayloadError(task_type, misfit.at, misfit.problem) from None
        except RecursionError:  # it holds itself, perhaps
            raise PayloadError(task_type, "", _TOO_DEEP) from None

    def dump_step(
        self, task_type: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[bytes, str | None]:
        """Make the payload of a call that gets the result of another: in the place of `previous`, or else, if
        it is no whole call, as its first argument.

        Returns: the payload without that argument, and its name; WHOLE: the payload itself is missing; None:
        nothing is. Raises: PayloadError.
        """
        if any(value is previous for value in (*args, *kwargs.values())):
            return self._dump_gap(task_type, args, kwargs)
        try:
            return self.dump(task_type, args, kwargs), None
        except PayloadError as error:  # it is no whole call; or was it meant to be one?
            with contextlib.suppress(PayloadError):
                return self._dump_gap(task_type, (previous, *args), kwargs)
            raise error

    def _dump_gap(
        self, task_type: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[bytes, str]:
        bound = self._bound(task_type, args, kwargs)
        gap, *more = [name for name, value in bound.items() if value is previous]
        if more:
            raise PayloadError(task_type, more[0], "there is one previous, and it is an argument already")
        if self._model is not None:
            return b"", WHOLE
        try:
            data: dict[str, Any] = {}
            for name, field in self._fields.items():
                if name != gap:
                    data |= {name: field.shape.dump(bound[name], name)} if name in bound else field.default
            return _encoded(data), gap
        except Misfit as misfit:
            raise PayloadError(task_type, misfit.at, misfit.problem) from None
        except RecursionError:
            raise PayloadError(task_type, "", _TOO_DEEP) from None

    def _bound(self, task_type: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._parameters.bind(*args, **kwargs).arguments
        except TypeError as error:
            given = self.injections.wants.keys() - self.missing(args, kwargs)
            if given:
                problem = "it is injected where the task runs, and cannot be enqueued"
                raise PayloadError(task_type, min(given), problem) from None
            raise PayloadError(task_type, "", str(error)) from None

    @property
    def names(self) -> Set[str]:
        """Of the arguments that make the payload."""
        return self._fields.keys()

    def values(self, task_type: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments of a call by name, defaults included. Raises: PayloadError."""
        defaults = {
            name: parameter.default
            for name, parameter in self._parameters.parameters.items()
            if parameter.default is not parameter.empty
        }
        return defaults | self._bound(task_type, args, kwargs)

    def missing(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> frozenset[str]:
        """Which of the injected parameters a direct call does not give."""
        try:
            given = self._all.bind_partial(*args, **kwargs).arguments
        except TypeError:  # the function itself will tell
            given = {}
        return frozenset(name for name in self.injections.wants if given.get(name, injected) is injected)

    def load(self, task_type: str, payload: bytes) -> Arguments:
        """Read the arguments from a payload. Raises: PayloadError."""
        try:
            data = json.loads(payload or NO_ARGUMENTS)
        except (ValueError, RecursionError):
            raise PayloadError(task_type, "", "the payload is no JSON") from None
        try:
            return self._arguments(data, has_payload=bool(payload))
        except Misfit as misfit:
            raise PayloadError(task_type, misfit.at.lstrip("."), misfit.problem) from None

    def _arguments(self, data: Any, *, has_payload: bool) -> Arguments:
        if self._model is not None:
            if not has_payload and not self._model.is_required:
                return [], {}
            return _placed(self._model, self._model.shape.load(data, ""))
        if not isinstance(data, dict):
            raise Misfit("", f"the payload is no object, but {JSON_NAMES[type(data)]}")
        if unknown := sorted(data.keys() - self._fields.keys()):
            takes = f"it takes {', '.join(self._fields)}" if self._fields else "it takes none"
            raise Misfit(unknown[0], f"there is no such argument; {takes}")
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, field in self._fields.items():
            if name not in data:
                if field.is_required:
                    raise Misfit(name, "missing")
                if field.is_positional:  # its place is taken, or the next would slip into it
                    args.append(self._parameters.parameters[name].default)
                continue
            more, named = _placed(field, field.shape.load(data[name], name))
            args += more
            kwargs |= named
        return args, kwargs

    def fits(self, task_type: str, payload: bytes, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Does a payload have these arguments, whatever others it has? Values are compared as JSON.

        Of the one parameter that is a model, its fields may be named instead. Raises: PayloadError: a call
        could not have them.
        """
        try:
            data = json.loads(payload or NO_ARGUMENTS)
        except (ValueError, RecursionError):
            return False
        if self._model is not None and not args and self._model.name not in kwargs:
            return isinstance(data, dict) and all(
                name in data and data[name] == _ANYTHING.dump(value, name) for name, value in kwargs.items()
            )
        try:
            bound = self._parameters.bind_partial(*args, **kwargs).arguments
            wanted = {name: self._fields[name].shape.dump(value, name) for name, value in bound.items()}
        except TypeError as error:
            raise PayloadError(task_type, "", str(error)) from None
        except Misfit as misfit:
            raise PayloadError(task_type, misfit.at, misfit.problem) from None
        if self._model is not None:
            return all(value == data for value in wanted.values())
        return isinstance(data, dict) and all(
            data.get(name, self._fields[name].default.get(name, _MISSING)) == value
            for name, value in wanted.items()
        )

    def dump_result(self, task_type: str, value: Any) -> bytes:
        """Make the result of what the function returned. Raises: PayloadError."""
        try:
            return _encoded(self._returns.dump(value, "return"))
        except Misfit as misfit:
            raise PayloadError(task_type, misfit.at, misfit.problem) from None
        except RecursionError:
            raise PayloadError(task_type, "return", _TOO_DEEP) from None

    def load_result(self, task_type: str, result: bytes | None) -> Any:
        """Read what the function returned. Bytes that are no JSON come from elsewhere, and stay as they are.

        Raises: PayloadError: it is not what the function returns.
        """
        if result is None:
            return None
        try:
            data = json.loads(result)
        except (ValueError, RecursionError):
            return result
        try:
            return self._returns.load(data, "return")
        except Misfit as misfit:
            raise PayloadError(task_type, misfit.at, misfit.problem) from None


def _field(parameter: inspect.Parameter, annotation: Any, codec: Codec) -> Field:
    name = parameter.name
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise InvalidOptionError("task", name, "parameters with names of their own, as the payload has names")
    if parameter.default is None:
        annotation = annotation | None if isinstance(annotation, type) else typing.Optional[annotation]  # noqa: UP045
    try:
        shape = codec.shape(annotation)
    except UnknownTypeError as error:
        raise InvalidOptionError(
            "task", f"{name}: {name_of(annotation)}", f"parameters that JSON can hold; {error} is not known"
        ) from None
    is_required = parameter.default is inspect.Parameter.empty
    default: dict[str, Any] = {}
    if not is_required:
        try:
            default = {name: shape.dump(parameter.default, name)}
            _encoded(default)
        except Misfit:  # a mark of its own, such as object(): the function will fill it in
            default = {}
    is_positional = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
    return Field(name, shape, is_required, is_positional, default)


def _without(parameters: inspect.Signature, names: Mapping[str, Any]) -> inspect.Signature:
    kept = [each for name, each in parameters.parameters.items() if name not in names]
    return parameters.replace(parameters=kept)


def _placed(field: Field, value: Any) -> Arguments:
    return ([value], {}) if field.is_positional else ([], {field.name: value})


def _encoded(data: Any) -> bytes:
    try:
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise Misfit("", "it has text that UTF-8 cannot hold: half a surrogate pair") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise Misfit("", f"JSON cannot hold it: {type(error).__name__}") from None
