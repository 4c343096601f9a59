"""ServeMux: finds the handler of a task by its type. Behaviour 10."""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import MethodType
from typing import TypeVar

from asynq_py.active_task import ActiveTask
from asynq_py.errors import HandlerNotFoundError, InvalidOptionError
from asynq_py.handler import AsyncHandler, Handler, as_async
from asynq_py.middleware import Middleware, check_middleware, fold
from asynq_py.options import check_name

H = TypeVar("H", bound=Handler)


class ServeMux:
    """Handlers by pattern: a task goes to the one that is its type, else to the longest that it begins with.

    A mux is itself a handler, so it may be registered in another one. Middleware wraps whatever handler was
    found, and the error when none was.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, AsyncHandler] = {}
        self._inner: list[ServeMux] = []
        self._middleware: list[Middleware] = []
        self._wrapped: dict[str, AsyncHandler] = {}
        self._prefixes: list[str] = []
        self._not_found: AsyncHandler = _not_found

    def handler(self, pattern: str) -> Callable[[H], H]:
        """Register the decorated function. Raises: as `handle`."""
        check_name("pattern", pattern)  # now: `@mux.handler` without a pattern would register nothing

        def register(function: H) -> H:
            self.handle(pattern, function)
            return function

        return register

    def handle(self, pattern: str, handler: Handler) -> None:
        """Register a handler.

        Raises: InvalidOptionError: a blank pattern, one registered before, no function, or a mux that leads
        back to this one.
        """
        check_name("pattern", pattern)
        if pattern in self._handlers:
            raise InvalidOptionError("pattern", pattern, "each pattern once")
        inner = _mux_in(handler)
        if inner is not None:
            if inner._leads_to(self):
                raise InvalidOptionError("handler", handler, "a mux that does not lead back to this one")
            self._inner.append(inner)
        self._handlers[pattern] = as_async(handler)
        self._fold()

    def use(self, *middleware: Middleware) -> None:
        """Add middleware; the first added is the outermost.

        Raises: InvalidOptionError: it cannot be called.
        """
        for layer in middleware:
            check_middleware(layer)
        self._middleware.extend(middleware)
        self._fold()

    def find(self, task_type: str) -> tuple[AsyncHandler, str]:
        """Return the handler with its middleware, and the pattern that matched; "" if none did."""
        exact = self._wrapped.get(task_type)
        if exact is not None:
            return exact, task_type
        for prefix in self._prefixes:
            if task_type.startswith(prefix):
                return self._wrapped[prefix], prefix
        return self._not_found, ""

    @property
    def patterns(self) -> Collection[str]:
        """All that are registered."""
        return self._handlers.keys()

    async def __call__(self, task: ActiveTask) -> None:
        handler, _ = self.find(task.type)
        await handler(task)

    def _leads_to(self, mux: ServeMux) -> bool:
        return self is mux or any(inner._leads_to(mux) for inner in self._inner)

    def _fold(self) -> None:
        self._wrapped = {
            pattern: fold(self._middleware, handler) for pattern, handler in self._handlers.items()
        }
        self._prefixes = sorted(self._handlers, key=len, reverse=True)
        self._not_found = fold(self._middleware, _not_found)


def _mux_in(handler: Handler) -> ServeMux | None:
    """The mux that is given as a handler: itself, or its `__call__`."""
    owner = handler.__self__ if isinstance(handler, MethodType) else handler
    return owner if isinstance(owner, ServeMux) else None


async def _not_found(task: ActiveTask) -> None:
    raise HandlerNotFoundError(task.type)
