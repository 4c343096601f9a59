"""What a middleware is, and how a list of them is folded around a handler."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from asynq_py.active_task import ActiveTask
from asynq_py.errors import InvalidOptionError
from asynq_py.handler import AsyncHandler

Middleware: TypeAlias = Callable[[ActiveTask, AsyncHandler], Awaitable[object]]
"""`async def mw(task, call_next)`: does what it likes before and after `await call_next(task)`."""


def check_middleware(layer: object) -> None:
    """Raises: InvalidOptionError: it cannot be called as a middleware is."""
    if not callable(layer):
        raise InvalidOptionError("middleware", layer, "a coroutine function of task and call_next")


def fold(middleware: Sequence[Middleware], handler: AsyncHandler) -> AsyncHandler:
    """Wrap a handler; the first of the list is the outermost."""
    for layer in reversed(middleware):
        handler = _wrapped(layer, handler)
    return handler


def _wrapped(layer: Middleware, inner: AsyncHandler) -> AsyncHandler:
    async def call(task: ActiveTask) -> None:
        running = layer(task, inner)
        if not inspect.isawaitable(running):
            name = getattr(layer, "__qualname__", repr(layer))
            raise InvalidOptionError(
                "middleware", name, "a coroutine function (async def) of task and call_next"
            )
        await running

    return call
