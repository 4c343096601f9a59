"""Resolving: gets the values that a function is given, and closes what was opened for them.

One value a try, however many ask for it. What was opened last is closed first, and is told of the error that
the try ended with; it cannot swallow it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Protocol, TypeAlias

from asynq_py.app.dependencies import Injections, Kind, Overrides, Provider, Source, Want
from asynq_py.errors import AsynqError

Error: TypeAlias = BaseException


class Manager(Protocol):
    """Of `with`."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[Error] | None, error: Error | None, trace: TracebackType | None, /
    ) -> object: ...


class AsyncManager(Protocol):
    """Of `async with`."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self, kind: type[Error] | None, error: Error | None, trace: TracebackType | None, /
    ) -> object: ...


class Values:
    """What the sources of one call have given."""

    def __init__(self, injections: Injections, names: frozenset[str], overrides: Overrides) -> None:
        self._wants = {name: injections.wants[name] for name in injections.wants if name in names}
        self._overrides = overrides
        self._given: dict[Source, Any] = {}
        self.plan = injections.plan(names, overrides)

    @property
    def arguments(self) -> dict[str, Any]:
        """Of the function itself, when all sources have given theirs."""
        return self._of(self._wants)

    def before_threads(self) -> tuple[Sequence[Provider], Sequence[Provider]]:
        """Split the plan: what only the event loop can give, with what that needs; and the rest."""
        needed: set[Source] = set()
        for provider in reversed(self.plan):
            if provider.kind.needs_loop or provider.source in needed:
                needed.add(provider.source)
                needed.update(self._overrides.of(want.source) for want in provider.wants.values())
        first = [provider for provider in self.plan if provider.source in needed]
        return first, [provider for provider in self.plan if provider.source not in needed]

    async def open(self, plan: Sequence[Provider], exits: AsyncExitStack) -> None:
        """Get values on the event loop. Raises: what a source raises."""
        for provider in plan:
            arguments, source = self._of(provider.wants), provider.source
            value: Any
            match provider.kind:
                case Kind.ASYNC_GENERATOR | Kind.ASYNC_MANAGER:
                    make = asynccontextmanager(source) if provider.kind is Kind.ASYNC_GENERATOR else source
                    value = await _entered(make(**arguments), exits)
                case Kind.GENERATOR | Kind.MANAGER:
                    value = _entered_here(_manager(provider, arguments), exits)
                case Kind.COROUTINE | Kind.VALUE:
                    value = source(**arguments)
                    if inspect.isawaitable(value):
                        value = await value
            self._given[source] = value

    def open_here(self, plan: Sequence[Provider], exits: ExitStack) -> None:
        """Get values without an event loop. Raises: AsynqError: one needs it. What a source raises."""
        for provider in plan:
            arguments = self._of(provider.wants)
            value: Any
            if provider.kind.needs_loop:
                raise AsynqError(
                    f"{provider.name} needs an event loop, and a plain function is called without one: pass "
                    f"what depends on it, by name"
                )
            if provider.kind is Kind.VALUE:
                value = provider.source(**arguments)
                if inspect.isawaitable(value):
                    if inspect.iscoroutine(value):
                        value.close()  # it never ran
                    raise AsynqError(
                        f"{provider.name} returns what must be awaited: make it a coroutine function"
                    )
            else:
                value = _entered_here(_manager(provider, arguments), exits)
            self._given[provider.source] = value

    def _of(self, wants: Mapping[str, Want]) -> dict[str, Any]:
        return {name: self._given[self._overrides.of(want.source)] for name, want in wants.items()}


async def call_with(
    function: Callable[..., Awaitable[Any]],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    values: Values,
    *,
    closing: Callable[[], object] | None = None,
) -> Any:
    """Call a coroutine function with what is injected. `closing` hears when it has ended."""
    async with AsyncExitStack() as exits:
        try:
            await values.open(values.plan, exits)
            return await function(*args, **kwargs, **values.arguments)
        finally:
            if closing is not None:
                closing()


def call_here(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    values: Values,
    plan: Sequence[Provider],
) -> Any:
    """Call a plain function with what is injected; `plan`: what of it was not opened before."""
    with ExitStack() as exits:
        values.open_here(plan, exits)
        return function(*args, **kwargs, **values.arguments)


def _manager(provider: Provider, arguments: Mapping[str, Any]) -> Manager:
    source: Callable[..., Iterator[Any]] = provider.source
    manager: Manager
    if provider.kind is Kind.GENERATOR:
        manager = contextmanager(source)(**arguments)
    else:
        manager = provider.source(**arguments)
    return manager


async def _entered(manager: AsyncManager, exits: AsyncExitStack) -> Any:
    value = await manager.__aenter__()

    async def leave(kind: type[Error] | None, error: Error | None, trace: TracebackType | None, /) -> bool:
        await manager.__aexit__(kind, error, trace)
        return False  # the try has failed, whatever a source thinks of it

    exits.push_async_exit(leave)
    return value


def _entered_here(manager: Manager, exits: ExitStack | AsyncExitStack) -> Any:
    value = manager.__enter__()

    def leave(kind: type[Error] | None, error: Error | None, trace: TracebackType | None, /) -> bool:
        manager.__exit__(kind, error, trace)
        return False

    exits.push(leave)
    return value
