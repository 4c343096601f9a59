"""A step of a flow as the text that Redis holds: enough to make its task once what it takes is there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias, cast

from asynq_py.clock import instant
from asynq_py.options import DEFAULTS, Options, TaskOptions
from asynq_py.task import Task
from asynq_py.wire import limits

WHOLE: Final = ""  # in place of the name of an argument: the payload itself
FLOW_HEADER: Final = "asynq-flow"  # of the task of a step: the ID of its flow

# A step by its number; a list of such; or the name of something else.
Source: TypeAlias = "int | list[Source] | str"

_INSTANTS: Final = ("deadline", "process_at")


@dataclass(frozen=True, slots=True)
class Definition:
    """A step as it is written down. `payload`: without what is still to come. `after`: what it waits for.

    `is_each`: it takes a list, and becomes a step for each item.
    """

    type: str
    queue: str
    payload: bytes | None
    headers: Mapping[str, str]
    options: Options
    at: str | None
    source: Source | None
    after: Sequence[int]
    is_each: bool = False

    def takes(self) -> list[int]:
        """The steps whose results it takes."""
        return list(numbers(self.source))

    def task(self, flow: str, step: str, value: Any = None) -> Task:
        """Make its task. `value`: what it takes. Raises: ValueError: the value has no place."""
        options = _given(self.options)
        options["task_id"] = task_id(flow, step)
        options["retention"] = max(self.options.retention, limits.STEP_KEPT)
        headers = {**self.headers, FLOW_HEADER: flow}
        return Task(self.type, self._filled(value), headers=headers, **options)

    def item(self, value: Any) -> bytes:
        """Write down the step of an item. Raises: ValueError: the value has no place."""
        told = _told(self.type, self._filled(value), self.headers, self.options)
        return _json(told | ({"after": list(self.after)} if self.after else {}))

    def _filled(self, value: Any) -> bytes | None:
        if self.at is None:
            return self.payload
        return _json(value if self.at == WHOLE else {**json.loads(self.payload or b"{}"), self.at: value})


def define(
    task: Task, *, at: str | None, source: Source | None, after: Sequence[int], is_each: bool = False
) -> bytes:
    """Write a step down."""
    told = _told(task.type, task.payload, task.headers, task.options)
    told |= {"at": at, "source": source} if at is not None else {}
    told |= {"after": list(after)} if after else {}
    told |= {"each": True} if is_each else {}
    return _json(told)


def defined(data: bytes) -> Definition:
    """Read what `define` wrote."""
    told = json.loads(data)
    options = Options(**told.get("options", {}))
    payload: bytes | None = None
    if "text" in told:
        payload = told["text"].encode()
    elif "base64" in told:
        payload = base64.b64decode(told["base64"])
    return Definition(
        type=told["type"],
        queue=options.queue,
        payload=payload,
        headers=told.get("headers", {}),
        options=options,
        at=told.get("at"),
        source=told.get("source"),
        after=told.get("after", ()),
        is_each=told.get("each", False),
    )


def is_follow_up(step: str) -> bool:
    """By its ID."""
    return step.startswith("f")


def task_id(flow: str, step: str) -> str:
    """The ID of the task of a step: always the same, so that it is stored once."""
    return f"{flow}:{step}"


def numbers(source: Source | None) -> Iterator[int]:
    match source:
        case int():
            yield source
        case list():
            for one in source:
                yield from numbers(one)


def value_of(source: Source, results: Mapping[int, bytes | None]) -> Any:
    """What a step takes, as JSON has it, or else as text. Raises: ValueError: it is neither."""
    match source:
        case int():
            return _value(results[source])
        case list():
            return [value_of(one, results) for one in source]
        case _:
            raise ValueError(f"{source!r} is no result")


def _value(result: bytes | None) -> Any:
    if result is None:
        return None
    try:
        return json.loads(result)
    except ValueError:
        return result.decode()


def _told(kind: str, payload: bytes | None, headers: Mapping[str, str], options: Options) -> dict[str, Any]:
    changed = {name: value for name, value in asdict(options).items() if value != getattr(DEFAULTS, name)}
    told: dict[str, Any] = {"type": kind, **_payload(payload)}
    told |= {"headers": dict(headers)} if headers else {}
    return told | ({"options": changed} if changed else {})


def _payload(payload: bytes | None) -> dict[str, str]:
    if payload is None:
        return {}
    try:
        return {"text": payload.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(payload).decode()}


def _given(options: Options) -> TaskOptions:
    """As a caller says them."""
    told = {name: value for name, value in asdict(options).items() if value != getattr(DEFAULTS, name)}
    for name in _INSTANTS:
        if told.get(name) is not None:
            told[name] = instant(told[name])
    return cast(TaskOptions, told)  # the names are the same


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
