"""What a handler is. Plain functions become coroutine functions that run in a worker thread."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

from asynq_py.active_task import ActiveTask
from asynq_py.errors import InvalidOptionError

AsyncHandler: TypeAlias = Callable[[ActiveTask], Awaitable[object]]
Handler: TypeAlias = Callable[[ActiveTask], object]
"""`async def f(task)`, or plain `def f(task)`; what it returns is not kept."""


def as_async(handler: Handler) -> AsyncHandler:
    """Make any handler awaitable.

    Raises: InvalidOptionError: it cannot be called with one argument.
    """
    if not _takes_one(handler):
        raise InvalidOptionError("handler", handler, "a function of one argument, the ActiveTask")
    if _is(inspect.isgeneratorfunction, handler) or _is(inspect.isasyncgenfunction, handler):
        # calling one runs nothing of it: every task would end well, and undone
        raise InvalidOptionError("handler", handler, "a function that does not yield")
    if _is(inspect.iscoroutinefunction, handler):
        return cast(AsyncHandler, handler)

    async def in_thread(task: ActiveTask) -> None:
        result = await task.run_in_thread(handler)
        if inspect.isawaitable(result):  # a plain wrapper around a coroutine function
            await result

    return functools.update_wrapper(in_thread, handler) if hasattr(handler, "__name__") else in_thread


def _takes_one(handler: Handler) -> bool:
    try:
        inspect.signature(handler).bind(None)
    except TypeError:  # it takes something else, or cannot be called at all
        return False
    except ValueError:  # a built-in that does not say what it takes
        return True
    return True


def _is(kind: Callable[[object], bool], handler: object) -> bool:
    while isinstance(handler, functools.partial):
        handler = cast("functools.partial[object]", handler).func
    return kind(handler if inspect.isroutine(handler) else getattr(handler, "__call__", handler))  # noqa: B004
