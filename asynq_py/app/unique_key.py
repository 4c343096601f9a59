"""Unique keys: from the arguments of a call to what makes it the same as another. Pure."""

from __future__ import annotations

import inspect
import json
import string
from collections.abc import Callable, Mapping, Set
from typing import Any, TypeAlias

from asynq_py.app.codec import Codec
from asynq_py.app.shape import Misfit
from asynq_py.errors import InvalidOptionError, PayloadError

UniqueKey: TypeAlias = "str | Callable[..., object]"
"""A template such as "{user_id}", or a function of some of the arguments, by their names. A text without
names is one key for all calls."""


def check_unique_key(key: object) -> None:
    """Raises: InvalidOptionError: it is neither a template nor a function."""
    if isinstance(key, str):
        if not key.strip():
            raise InvalidOptionError("unique_key", key, 'a template such as "{user_id}", which is not blank')
        _names_in(key)
    elif not callable(key):
        raise InvalidOptionError("unique_key", key, 'a template such as "{user_id}", or a function')
    elif inspect.iscoroutinefunction(key):
        raise InvalidOptionError("unique_key", key, "a plain function: it is called where a task is made")


def check_names(key: UniqueKey, names: Set[str]) -> None:
    """Raises: InvalidOptionError: it asks for an argument that is none of these."""
    unknown = sorted((_names_in(key) if isinstance(key, str) else _parameters(key)) - names)
    if unknown:
        raise InvalidOptionError(
            "unique_key",
            unknown[0],
            f"one of the arguments of the task: {', '.join(sorted(names)) or 'none'}",
        )


def key_of(key: UniqueKey, task_type: str, values: Mapping[str, Any]) -> str:
    """Make the key of a call. Raises: PayloadError."""
    try:
        if isinstance(key, str):
            return key.format(**values)
        made = key(**{name: values[name] for name in _parameters(key)})
        if made is None:
            raise Misfit("unique_key", "it is None")
        if isinstance(made, str):
            return made
        return json.dumps(Codec().shape(Any).dump(made, "unique_key"), sort_keys=True, allow_nan=False)
    except Misfit as misfit:
        raise PayloadError(task_type, "unique_key", misfit.problem) from misfit
    except Exception as error:  # of the user's function, or of a format
        problem = f"it cannot be made: {type(error).__name__}: {error}"
        raise PayloadError(task_type, "unique_key", problem) from error


def _names_in(template: str) -> set[str]:
    try:
        names = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
    except ValueError as error:
        raise InvalidOptionError("unique_key", template, f"a template: {error}") from None
    bare = {name.partition(".")[0].partition("[")[0] for name in names}
    if not all(name.isidentifier() for name in bare):
        raise InvalidOptionError("unique_key", template, 'arguments by their names, as in "{user_id}"')
    return bare


def _parameters(key: Callable[..., object]) -> set[str]:
    try:
        parameters = inspect.signature(key).parameters.values()
    except (TypeError, ValueError):
        raise InvalidOptionError("unique_key", key, "a function that says which arguments it takes") from None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if any(parameter.kind not in named for parameter in parameters):
        raise InvalidOptionError("unique_key", key, "a function of named arguments of the task")
    return {parameter.name for parameter in parameters}
