"""Dependencies: what functions are given by annotation, what that in turn needs, and in which order."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from asynq_py.app.codec import name_of
from asynq_py.errors import InvalidOptionError
from asynq_py.lifespan import current_app_state

T = TypeVar("T")

Source: TypeAlias = Callable[..., Any]
"""A function, or a class, that makes a value, or yields one and cleans up after it."""


class _Injected(Enum):
    HERE = "injected"

    def __repr__(self) -> str:
        return "injected"


injected: Final[Any] = _Injected.HERE
"""The default of a parameter with `Depends`, so that calls without it satisfy type checkers."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """The mark of a parameter that is injected. Made by `Depends`."""

    source: Source


def Depends(source: Source, /) -> Any:
    """Mark a parameter as given by a function: `db: Annotated[Session, Depends(open_session)] = injected`.

    Or as its default: `db: Session = Depends(open_session)`.

    `source`: a plain or a coroutine function, which returns the value; or one that yields it once, and cleans
    up behind the `yield`; what `contextmanager` or `asynccontextmanager` decorates is one, too. Its own
    parameters depend on others, or have a default.

    Raises: InvalidOptionError: it cannot be called.
    """
    if not callable(source):
        raise InvalidOptionError("Depends", source, "a function")
    return Dependency(source)


Shared: TypeAlias = Annotated[T, Dependency(current_app_state)]
"""What the lifespan of the app yields: `pools: Shared[Pools] = injected`."""


class Kind(Enum):
    """How a source gives its value."""

    VALUE = "returned"
    COROUTINE = "awaited"
    GENERATOR = "yielded"
    ASYNC_GENERATOR = "yielded by a coroutine"
    MANAGER = "by a context manager"
    ASYNC_MANAGER = "by an asynchronous context manager"

    @property
    def needs_loop(self) -> bool:
        return self in (Kind.COROUTINE, Kind.ASYNC_GENERATOR, Kind.ASYNC_MANAGER)


@dataclass(frozen=True, slots=True)
class Want:
    """A parameter that is injected. `annotation`: of what, as far as it is said."""

    source: Source
    annotation: Any


@dataclass(frozen=True, slots=True)
class Provider:
    """A source that was looked at. `wants`: its own parameters that are injected."""

    source: Source
    kind: Kind
    wants: Mapping[str, Want]

    @property
    def name(self) -> str:
        return _name(self.source)


class Overrides:
    """Which sources are replaced by which, for tests."""

    def __init__(self) -> None:
        self._replaced: dict[Source, Source] = {}

    def __bool__(self) -> bool:
        return bool(self._replaced)

    def of(self, source: Source) -> Source:
        return self._replaced.get(source, source)

    def put(self, source: Source, other: Source | None) -> Source | None:
        """Replace a source; None: no more. Returns what replaced it before."""
        before = self._replaced.pop(source, None)
        if other is not None:
            self._replaced[source] = other
        return before


NO_OVERRIDES: Final = Overrides()


class Injections:
    """What is injected into one function. `names`: what annotations may mean beside what modules say."""

    def __init__(self, wants: Mapping[str, Want], names: Mapping[str, Any]) -> None:
        self.wants = wants
        self._names = names if wants else {}
        self._known: dict[Source, Provider] = {}
        self._plans: dict[frozenset[str], tuple[Provider, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.wants)

    @classmethod
    def of(
        cls, parameters: inspect.Signature, hints: Mapping[str, Any], names: Mapping[str, Any]
    ) -> Injections:
        """Find what is injected, and all that this needs.

        Raises: InvalidOptionError: a source needs itself, or something that nobody gives. NameError: an
        annotation means nothing, or not yet.
        """
        self = cls(wanted(parameters, hints), names)
        self.plan(self.wants.keys(), NO_OVERRIDES)
        return self

    def plan(self, parameters: Set[str], overrides: Overrides) -> tuple[Provider, ...]:
        """Say which sources to use for these parameters, in which order: each after those that it needs."""
        if overrides:
            return self._order(parameters, overrides)
        wished = frozenset(parameters)
        if wished not in self._plans:
            self._plans[wished] = self._order(parameters, overrides)
        return self._plans[wished]

    def states(self, overrides: Overrides) -> Iterator[type]:
        """The classes that the state of the app should be of, so far as they are said."""
        wants = [*self.wants.values()]
        for provider in self.plan(self.wants.keys(), overrides):
            wants += provider.wants.values()
        for want in wants:
            if overrides.of(want.source) is current_app_state:
                (kind, *_) = typing.get_args(want.annotation) or (object,)
                yield kind if isinstance(kind, type) else object

    def _order(self, parameters: Iterable[str], overrides: Overrides) -> tuple[Provider, ...]:
        done: dict[Source, Provider] = {}
        under_way: list[Source] = []

        def visit(source: Source) -> None:
            source = overrides.of(source)
            if source in done:
                return
            if source in under_way:
                circle = " → ".join(_name(each) for each in [*under_way[under_way.index(source) :], source])
                raise InvalidOptionError("Depends", circle, "sources that do not need themselves")
            under_way.append(source)
            provider = self._provider(source)
            for want in provider.wants.values():
                visit(want.source)
            under_way.pop()
            done[source] = provider

        for name in self.wants:
            if name in parameters:
                visit(self.wants[name].source)
        return tuple(done.values())

    def _provider(self, source: Source) -> Provider:
        known = self._known.get(source)
        if known is None:
            known = self._known[source] = provider_of(source, self._names)
        return known


def provider_of(source: Source, names: Mapping[str, Any]) -> Provider:
    """Look at a source. Raises: InvalidOptionError: a parameter that nobody gives. NameError."""
    try:
        parameters = inspect.signature(source)
    except ValueError:  # a built-in that does not say what it takes
        parameters = inspect.Signature()
    hints = typing.get_type_hints(_annotated(source), localns=dict(names), include_extras=True)
    wants = wanted(parameters, hints)
    for name, parameter in parameters.parameters.items():
        is_variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if name not in wants and parameter.default is parameter.empty and not is_variable:
            raise InvalidOptionError(
                "Depends", f"{_name(source)}({name})", "parameters that have a default or depend on something"
            )
    return Provider(source, _kind(source), wants)


def wanted(parameters: inspect.Signature, hints: Mapping[str, Any]) -> dict[str, Want]:
    """Find the parameters that are injected."""
    found: dict[str, Want] = {}
    for name, parameter in parameters.parameters.items():
        annotation = hints.get(name, Any)
        mark = _mark(annotation, parameter.default)
        if parameter.default is Depends:
            raise InvalidOptionError("Depends", name, "called with the function that gives it")
        if mark is None:
            if any(_mark(part, None) for part in typing.get_args(annotation)):
                raise InvalidOptionError(
                    "Depends", name, "around the whole annotation: Annotated[X | None, Depends(…)]"
                )
            if parameter.default is injected:
                raise InvalidOptionError("task", name, "injected with an Annotated[…, Depends(…)]")
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidOptionError("Depends", name, "parameters that can be passed by name")
        found[name] = Want(mark.source, annotation)
    return found


def _mark(annotation: Any, default: Any) -> Dependency | None:
    if isinstance(default, Dependency):
        return default
    if typing.get_origin(annotation) is Annotated:
        marks = [mark for mark in typing.get_args(annotation)[1:] if isinstance(mark, Dependency)]
        return marks[-1] if marks else None
    return None


def _annotated(source: Source) -> Any:
    """Where the annotations of its parameters are."""
    while isinstance(source, functools.partial):
        source = source.func
    if isinstance(source, type):
        return source.__init__  # type: ignore[misc]  # only read
    return source if inspect.isroutine(source) else type(source).__call__


def _kind(source: Source) -> Kind:
    bare: Any = source
    while isinstance(bare, functools.partial):
        bare = bare.func
    if not inspect.isroutine(bare) and not isinstance(bare, type):
        bare = bare.__call__
    if inspect.iscoroutinefunction(bare):
        return Kind.COROUTINE
    if inspect.isasyncgenfunction(bare):
        return Kind.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(bare):
        return Kind.GENERATOR
    inner = inspect.unwrap(bare)
    if inspect.isasyncgenfunction(inner):
        return Kind.ASYNC_MANAGER
    return Kind.MANAGER if inspect.isgeneratorfunction(inner) else Kind.VALUE


def _name(source: Source) -> str:
    while isinstance(source, functools.partial):
        source = source.func
    return getattr(source, "__qualname__", None) or name_of(type(source))
