"""From a task to the key of its limit. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from asynq_py.active_task import ActiveTask
from asynq_py.errors import InvalidOptionError

LimitKey: TypeAlias = "str | Callable[[ActiveTask], object] | None"
KeyOf: TypeAlias = Callable[[ActiveTask], "str | None"]

_ALLOWED: Final = (
    '"queue", "type", "payload.PATH" or "headers.NAME", such as "payload.account.id"; a function of the '
    "task; or None, for one limit of all tasks"
)


def key_of(key: LimitKey) -> KeyOf:
    """What tells the key of a task: "" for that of all which have none, None for "not limited".

    Raises: InvalidOptionError.
    """
    if key is None:
        return lambda task: ""
    if callable(key):
        return _of_function(key)
    match str(key).partition("."):
        case ("queue", "", _):
            return lambda task: task.queue
        case ("type", "", _):
            return lambda task: task.type
        case ("payload", ".", path) if all(path.split(".")):
            return lambda task: _text(_within(task.payload, path.split(".")))
        case ("headers", ".", name) if name:
            return lambda task: task.headers.get(name, "")
        case _:
            raise InvalidOptionError("key", key, _ALLOWED)


def _of_function(function: Callable[[ActiveTask], object]) -> KeyOf:
    def key(task: ActiveTask) -> str | None:
        value = function(task)
        return None if value is None else _text(value)

    return key


def _within(payload: bytes, path: list[str]) -> object:
    """What stands in a JSON payload at that path; None where there is nothing."""
    try:
        value: Any = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and step.isascii() and len(step) < 10:
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError):
        return str(value)
