"""Running: from a typed task to a core handler, and what happens to types that nobody knows."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from asynq_py.active_task import ActiveTask
from asynq_py.app.executors import Place, Processes
from asynq_py.app.resolving import Values, call_here, call_with
from asynq_py.app.typed_task import AsyncTask, Declaration, TypedTask
from asynq_py.errors import HandlerNotFoundError, InvalidOptionError, PayloadError, RetryLater, SkipRetry
from asynq_py.handler import AsyncHandler
from asynq_py.middleware import Middleware

logger = logging.getLogger(__name__)

PARKED: Final = 60.0  # seconds until an unknown type is tried again, here or by a worker that knows it


def handler_of(task: TypedTask[..., Any], processes: Processes) -> AsyncHandler:
    """Make a handler that checks the payload, calls the function, and keeps its result if it has retention.

    What does not fit is archived at once: trying again would not mend it.
    """
    declaration = task.declaration
    call = _caller(task, processes)
    types = {task.type, *declaration.aliases}
    signature = declaration.signature  # a mistake in it is told before any task is taken
    carrier = declaration.home.carrier

    async def handle(active: ActiveTask) -> None:
        if active.type not in types:  # a mux would take it for our prefix
            raise HandlerNotFoundError(active.type)
        try:
            args, kwargs = signature.load(active.type, active.payload)
        except PayloadError as error:
            raise SkipRetry(f"the payload does not fit: {error}") from None
        if carrier:
            carrier.restore(active.headers)
        value = await call(active, args, kwargs)
        if value is None:
            return
        if inspect.iscoroutine(value):  # of a plain wrapper around a coroutine function, or forgotten
            value = await value
        if value is None or not active.retention:
            return
        try:
            result = signature.dump_result(active.type, value)
            await active.write_result(result)
        # done, but of no use to the one who waits; again would be no better
        except (PayloadError, InvalidOptionError) as error:
            raise SkipRetry(f"the result does not fit: {error}") from None

    return handle


def _caller(task: TypedTask[..., Any], processes: Processes) -> Callable[..., Any]:
    declaration = task.declaration
    function = _function(declaration)
    if declaration.executor == "process":
        place = Place.of(function)

        async def in_process(active: ActiveTask, args: list[Any], kwargs: dict[str, Any]) -> Any:
            return await processes.call(place, args, kwargs)

        return in_process
    if declaration.signature.injections:
        return _injecting(declaration, is_async=isinstance(task, AsyncTask))
    if isinstance(task, AsyncTask):

        async def in_loop(active: ActiveTask, args: list[Any], kwargs: dict[str, Any]) -> Any:
            return await function(*args, **kwargs)

        return in_loop

    async def in_thread(active: ActiveTask, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return await active.run_in_thread(lambda _: function(*args, **kwargs))

    return in_thread


def _injecting(declaration: Declaration, *, is_async: bool) -> Callable[..., Any]:
    function, home = _function(declaration), declaration.home
    injections = declaration.signature.injections
    names = frozenset(injections.wants)

    async def in_loop(active: ActiveTask, args: list[Any], kwargs: dict[str, Any]) -> Any:
        values = Values(injections, names, home.overrides)
        return await call_with(function, args, kwargs, values, closing=active.begin_closing)

    async def in_thread(active: ActiveTask, args: list[Any], kwargs: dict[str, Any]) -> Any:
        values = Values(injections, names, home.overrides)
        first, rest = values.before_threads()
        async with AsyncExitStack() as exits:
            try:
                await values.open(first, exits)
                # in the thread itself, as not everything may be used in another than the one that made it
                return await active.run_in_thread(lambda _: call_here(function, args, kwargs, values, rest))
            finally:
                active.begin_closing()

    return in_loop if is_async else in_thread


def _function(declaration: Declaration) -> Callable[..., Any]:
    assert declaration.function is not None
    return declaration.function


def parking() -> Middleware:
    """Make a middleware that lets tasks of unknown types wait: a worker of a newer version may know them.

    The innermost, so that others see them put off, and not fail.
    """
    told: set[str] = set()

    async def park(active: ActiveTask, call_next: AsyncHandler) -> None:
        try:
            await call_next(active)
        except HandlerNotFoundError as error:
            if active.type not in told:
                told.add(active.type)
                logger.error(
                    "no task of this app has the type %r: it is parked, and looked at every %d s; first %s",
                    *(active.type, PARKED, active),
                )
            raise RetryLater(PARKED, f"parked: no task of the app has the type {active.type!r}") from error

    return park
