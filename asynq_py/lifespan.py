"""What a server opens before its first task and closes after its last; the state that its handlers share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar, Token
from typing import Any, TypeAlias, TypeVar, overload

from asynq_py.errors import AsynqError, InvalidOptionError

T = TypeVar("T")

Lifespan: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]
"""Makes an async context manager; what it yields is the state that handlers share."""

_state: ContextVar[object] = ContextVar("asynq_py_app_state")


def check_lifespan(option: str, lifespan: Any) -> Lifespan | None:
    """Raises: InvalidOptionError: it makes no context manager, as far as can be seen without calling it."""
    if lifespan is None:
        return None
    allowed = "a function without parameters that makes an async context manager"
    if not callable(lifespan):
        raise InvalidOptionError(option, lifespan, allowed)
    if inspect.isasyncgenfunction(lifespan) or inspect.isgeneratorfunction(lifespan):
        raise InvalidOptionError(option, lifespan, f"{allowed}: decorate it with asynccontextmanager")
    try:
        inspect.signature(lifespan).bind()
    except TypeError:
        raise InvalidOptionError(option, lifespan, allowed) from None
    except ValueError:  # a builtin that does not tell its parameters
        pass
    return lifespan  # type: ignore[no-any-return]  # checked as far as it can be


@overload
def current_app_state() -> Any: ...
@overload
def current_app_state(kind: type[T]) -> T: ...
def current_app_state(kind: type[Any] = object) -> Any:
    """Return what the lifespan has yielded of the server that runs this task.

    `kind`: the class that it is of, for type checkers; it is checked.

    Raises: AsynqError: there is no lifespan here, or its state is of another class.
    """
    try:
        state = _state.get()
    except LookupError:
        raise AsynqError(
            "there is no state here: it is there in tasks of a server with a lifespan, and in a block of "
            "`async with app.lifespan():`"
        ) from None
    if not isinstance(state, kind):
        raise AsynqError(f"the lifespan yields {type(state).__name__}, not {kind.__name__}")
    return state


def set_app_state(state: object) -> Token[object]:
    """Share a state with all that is called from here, and asyncio tasks that begin from now on."""
    return _state.set(state)


def reset_app_state(token: Token[object]) -> None:
    """Share the one before, or none."""
    _state.reset(token)
