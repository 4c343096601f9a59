"""Task: what is to be done. Immutable, and free of any connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Self, TypeVar, Unpack

from asynq_py.errors import InvalidOptionError
from asynq_py.options import DEFAULTS, Options, TaskOptions, check_name
from asynq_py.wire import limits

T = TypeVar("T", bound="Task")

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, init=False)
class Task:
    """A unit of work: a type, which chooses the handler, and a payload.

    `payload`: bytes are sent as they are, text as UTF-8, None as no payload, anything else as compact JSON.
    `headers`: text by name; metadata that handlers can read.
    `options`: defaults for this task; those given when it is enqueued win.

    Tasks can be compared, hashed, copied and pickled.

    Raises: InvalidOptionError: a blank type, a payload that is no JSON, or a bad header or option.
    """

    type: str
    payload: bytes | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, hash=False)  # mappings have no hash; equal tasks share one
    options: Options

    def __init__(
        self,
        type: str,
        payload: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        object.__setattr__(self, "type", check_name("type", type))
        object.__setattr__(self, "payload", _encoded(payload))
        object.__setattr__(self, "headers", _NO_HEADERS if headers is None else _checked_headers(headers))
        object.__setattr__(self, "options", DEFAULTS.override(options) if options else DEFAULTS)

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Make the same task with these headers on top of its own. Raises: InvalidOptionError."""
        return self._changed(headers={**self.headers, **_checked_headers(headers)}, options=self.options)

    def with_options(self, **options: Unpack[TaskOptions]) -> Self:
        """Make the same task with these options on top of its own. Raises: InvalidOptionError."""
        return self._changed(headers=dict(self.headers), options=self.options.override(options))

    def _changed(self, *, headers: dict[str, str], options: Options) -> Self:
        return _again(self.__class__, self.type, self.payload, headers, options)

    def __reduce__(self) -> tuple[Callable[..., Task], tuple[object, ...]]:
        # a view of a mapping can be neither pickled nor copied
        return _again, (self.__class__, self.type, self.payload, dict(self.headers), self.options)


def _again(kind: type[T], type_: str, payload: bytes | None, headers: dict[str, str], options: Options) -> T:
    """What was checked when the task was made is not checked again."""
    task = object.__new__(kind)
    object.__setattr__(task, "type", type_)
    object.__setattr__(task, "payload", payload)
    object.__setattr__(task, "headers", MappingProxyType(headers) if headers else _NO_HEADERS)
    object.__setattr__(task, "options", options)
    return task


def check_size(task: Task, payload_limit: int, *, whose: str) -> None:
    """Check that a task is small enough to be stored; one that is stored already may be larger, and runs.

    Raises: InvalidOptionError.
    """
    size = len(task.payload or b"")
    if size > payload_limit:
        raise InvalidOptionError("payload", f"{size} bytes", f"at most {payload_limit} bytes ({whose})")
    if not task.headers:
        return
    if len(task.headers) > limits.HEADERS:
        raise InvalidOptionError("headers", f"{len(task.headers)} of them", f"at most {limits.HEADERS}")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in task.headers.items())
    if size > limits.HEADERS_LIMIT:
        allowed = (
            f"at most {limits.HEADERS_LIMIT} bytes, names and values together; the payload may hold more"
        )
        raise InvalidOptionError("headers", f"{size} bytes", allowed)


def _encoded(payload: object) -> bytes | None:
    if payload is None or isinstance(payload, bytes):
        return payload
    if isinstance(payload, bytearray | memoryview):
        return bytes(payload)
    try:
        text = payload if isinstance(payload, str) else _to_json(payload)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        # the payload itself is private: only its kind is told
        raise InvalidOptionError(
            "payload", type(payload), f"bytes, text, or what JSON can hold: {error}"
        ) from None


def _to_json(payload: object) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    given: object = headers
    if not isinstance(given, Mapping):
        raise InvalidOptionError("headers", type(given), "a mapping of text by name, as in {'trace': '1'}")
    for name, value in headers.items():
        try:
            name.encode()
            value.encode()
        except (AttributeError, UnicodeEncodeError):
            raise InvalidOptionError("headers", name, "text that UTF-8 can hold, by such a name") from None
    return MappingProxyType(dict(headers))
