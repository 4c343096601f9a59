"""Carrying: context variables travel with a task, from who enqueues it to who handles it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from asynq_py.errors import InvalidOptionError, PayloadError

logger = logging.getLogger(__name__)

HEADER: Final = "asynq-py-context"
LONGEST: Final = 4096  # bytes of JSON, for all variables of a task


class Carrier:
    """Packs values into a header: a JSON object by the names of the variables. Raises: InvalidOptionError."""

    def __init__(self, variables: Iterable[ContextVar[Any]]) -> None:
        self._variables: dict[str, ContextVar[Any]] = {}
        if isinstance(variables, ContextVar | str):
            raise InvalidOptionError("carry", variables, "a list of ContextVars")
        for variable in variables:
            if not isinstance(variable, ContextVar):
                raise InvalidOptionError("carry", variable, "a list of ContextVars")
            if variable.name in self._variables:
                raise InvalidOptionError("carry", variable.name, "each name once")
            self._variables[variable.name] = variable

    def __bool__(self) -> bool:
        return bool(self._variables)

    def headers(self, task_type: str) -> dict[str, str]:
        """Pack the variables that have a value here. Raises: PayloadError."""
        unset = object()
        values = {name: variable.get(unset) for name, variable in self._variables.items()}
        given = {name: value for name, value in values.items() if value is not unset}
        if not given:
            return {}
        try:
            text = json.dumps(given, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
            size = len(text.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise PayloadError(
                task_type, "carry", f"a context variable that JSON cannot hold: {error}"
            ) from None
        if size > LONGEST:
            raise PayloadError(
                task_type, "carry", f"context variables of {size} bytes, of which {LONGEST} are allowed"
            )
        return {HEADER: text}

    def restore(self, headers: Mapping[str, str]) -> None:
        """Set the variables here as they were there. What is not known, or no such header, is left alone."""
        text = headers.get(HEADER)
        if text is None:
            return
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            logger.warning("the header %s of a task is not in order, so no context variable is set", HEADER)
            return
        for name, variable in self._variables.items():
            if name in given:
                variable.set(given[name])


NOTHING: Final = Carrier(())
