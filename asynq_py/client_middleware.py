"""What a middleware of a client is, and how a list of them is folded around what enqueues."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Final, TypeAlias

from asynq_py.clock import instant
from asynq_py.errors import EnqueueError, InvalidOptionError
from asynq_py.info import TaskInfo
from asynq_py.task import Task

EnqueueCall: TypeAlias = Callable[[Sequence[Task]], Awaitable[Sequence[TaskInfo | EnqueueError]]]
"""Stores tasks; answers in order. What went wrong with one is an answer, too: it is not raised."""

ClientMiddleware: TypeAlias = Callable[
    [Sequence[Task], EnqueueCall], Awaitable[Sequence[TaskInfo | EnqueueError]]
]
"""`async def mw(tasks, call_next)`: may change tasks before `await call_next(tasks)`, and sees the answers.

`tasks` is one task for `enqueue`, and some thousands at a time for `enqueue_many`. They have their options,
those of the call included.
"""


_AT: Final[ContextVar[datetime | None]] = ContextVar("asynq_py_scheduled_at", default=None)


def scheduled_at() -> datetime | None:
    """In middleware around a scheduler: the time of the entry that is being enqueued, UTC. Else None."""
    return _AT.get()


@contextmanager
def scheduling(at: float) -> Iterator[None]:
    """Say so for what runs in the block."""
    token = _AT.set(instant(at))
    try:
        yield
    finally:
        _AT.reset(token)


def check_client_middleware(layers: Iterable[ClientMiddleware]) -> list[ClientMiddleware]:
    """Raises: InvalidOptionError: one cannot be called."""
    if not isinstance(layers, Iterable):
        raise InvalidOptionError("middleware", layers, "a list of coroutine functions")
    checked = list(layers)
    for layer in checked:
        if not callable(layer):
            raise InvalidOptionError("middleware", layer, "a coroutine function of tasks and call_next")
    return checked


def fold(middleware: Sequence[ClientMiddleware], call: EnqueueCall) -> EnqueueCall:
    """Wrap what enqueues; the first of the list is the outermost."""
    for layer in reversed(middleware):
        call = _wrapped(layer, call)
    return call


def _wrapped(layer: ClientMiddleware, inner: EnqueueCall) -> EnqueueCall:
    async def call(tasks: Sequence[Task]) -> Sequence[TaskInfo | EnqueueError]:
        running = layer(tasks, inner)
        if not inspect.isawaitable(running):
            raise InvalidOptionError(
                "middleware", _name(layer), "a coroutine function (async def) of tasks and call_next"
            )
        answers = await running
        given: object = answers  # types promise what users may have forgotten
        if not isinstance(given, Sequence) or len(given) != len(tasks):
            raise InvalidOptionError("middleware", _name(layer), "one that returns an answer for each task")
        return answers

    return call


def _name(layer: ClientMiddleware) -> str:
    return getattr(layer, "__qualname__", repr(layer))
