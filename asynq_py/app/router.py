"""Router: declares tasks by decorators. Several modules have one each; an app includes them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from asynq_py.app.executors import Place
from asynq_py.app.home import Home
from asynq_py.app.signature import Signature
from asynq_py.app.typed_task import (
    DECLARED,
    REMOTE,
    TIMED,
    AsyncTask,
    CallOptions,
    Declaration,
    Executor,
    PlainTask,
    RemoteTask,
    TypedTask,
)
from asynq_py.errors import InvalidOptionError, PayloadError
from asynq_py.options import DEFAULTS, TaskOptions, check_name, read_spans
from asynq_py.scheduler.cron import load_zone, parse
from asynq_py.scheduler.entry import EntryOptions, Missed, check_missed
from asynq_py.suggestion import unknown_option

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
K = TypeVar("K", bound=TypedTask[..., Any])

EXECUTORS: Final = ("thread", "process")


class TaskDecorator(Protocol):
    """Makes a typed task of a function."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first that fits counts
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> PlainTask[P, R]: ...


class CronDecorator(Protocol):
    """Makes a typed task of a function, or takes one as it is, and gives it a time."""

    @overload
    def __call__(self, task: K, /) -> K: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first that fits counts
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> PlainTask[P, R]: ...


@dataclass(frozen=True, slots=True)
class CronEntry:
    """A task and its times."""

    spec: str
    task: TypedTask[..., Any]
    options: EntryOptions


class Router:
    """Tasks whose types begin with a prefix.

    `prefix`: "images" and "images:" both make "images:resize" of `resize`. Options: what its tasks have
    unless they say otherwise.

    Raises: InvalidOptionError.
    """

    _told = "a router"

    def __init__(self, prefix: str = "", **options: Unpack[TaskOptions]) -> None:
        self._home = self._make_home(prefix, options)
        self._tasks: list[TypedTask[..., Any]] = []
        self._remotes: list[TypedTask[..., Any]] = []
        self._entries: list[CronEntry] = []
        self._included: list[Router] = []

    def _make_home(self, prefix: str, options: TaskOptions) -> Home:
        if prefix:
            check_name("prefix", prefix)
        known = self._known()
        for unknown in options.keys() - set(known):
            raise unknown_option(unknown, options.get(unknown), known, of=self._told)
        DEFAULTS.override(options)
        return Home(prefix, cast(TaskOptions, read_spans(options)))

    def _known(self) -> Sequence[str]:
        """What its constructor takes."""
        return ("prefix", *TaskOptions.__annotations__)

    @property
    def tasks(self) -> Mapping[str, TypedTask[..., Any]]:
        """All tasks that are declared here or in included routers, by type."""
        return {task.type: task for task in self._all_tasks()}

    @property
    def remotes(self) -> Mapping[str, TypedTask[..., Any]]:
        """The tasks that are handled elsewhere, and were named here or in included routers, by type."""
        return {task.type: task for task in self._all_remotes()}

    # -- declaring --------------------------------------------------------------------------------------

    @overload
    def task(  # type: ignore[overload-overlap]  # the first that fits counts
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> PlainTask[P, R]: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = None,
        aliases: Sequence[str] = (),
        executor: Executor | None = None,
        **options: Unpack[CallOptions],
    ) -> TaskDecorator: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        aliases: Sequence[str] = (),
        executor: Executor | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Make a typed task of the decorated function; with or without parentheses.

        `name`: its type, after the prefix; left out, the name of the function. `aliases`: types that it had
        before, in full: workers take them as well. `executor`: of a plain function: "thread", or "process"
        for what needs a processor of its own or must be killed at its timeout. Options: those of a task, and
        `wait`, `headers`.

        Raises: InvalidOptionError: an option, or a parameter that JSON cannot hold, or a type in use.
        """
        names = sys._getframe(1).f_locals
        make = partial(
            self._declare, names=names, name=name, aliases=aliases, executor=executor, options=options
        )
        return make if function is None else make(function)

    def cron(
        self,
        spec: str,
        *,
        timezone: str | None = None,
        missed: Missed | None = None,
        name: str | None = None,
        **options: Unpack[CallOptions],
    ) -> CronDecorator:
        """Enqueue the decorated function, or task, at each time of a spec, by `app.scheduler()`.

        It must be callable without arguments. `timezone`, `missed`: see Scheduler. `name`, options: as for
        `task`, of a function that is no task yet.

        Raises: InvalidOptionError.
        """
        entry: EntryOptions = {}
        if timezone is not None:
            load_zone("timezone", timezone)
            entry["timezone"] = timezone
        if missed is not None:
            entry["missed"] = check_missed(missed)
        parse(spec, timezone or "UTC")
        names = sys._getframe(1).f_locals

        def decorate(given: Any) -> Any:
            if isinstance(given, TypedTask):
                task = given.options(**options)
            else:
                task = given = self._declare(given, names=names, name=name, options=options, known=TIMED)
            try:
                task.task()
            except PayloadError as error:
                raise InvalidOptionError(
                    "cron", task.type, f"a task that needs no arguments: {error.problem}"
                ) from None
            self._entries.append(CronEntry(spec, task, entry))
            return given

        return cast(CronDecorator, decorate)

    @overload
    def remote(
        self, name: str, *, payload: type[T], result: type[R], **options: Unpack[CallOptions]
    ) -> TypedTask[[T], R]: ...
    @overload
    def remote(
        self, name: str, *, payload: type[T], **options: Unpack[CallOptions]
    ) -> TypedTask[[T], Any]: ...
    @overload
    def remote(
        self, name: str, *, result: type[R], **options: Unpack[CallOptions]
    ) -> TypedTask[[Any], R]: ...
    @overload
    def remote(self, name: str, **options: Unpack[CallOptions]) -> TypedTask[[Any], Any]: ...
    def remote(
        self, name: str, *, payload: Any = Any, result: Any = Any, **options: Unpack[CallOptions]
    ) -> TypedTask[..., Any]:
        """Name a task whose handler is elsewhere, in Go perhaps, to enqueue it as if it were here.

        `name`: its type, in full. `payload`: what is passed, and becomes the payload as it is: a model,
        usually. `result`: what its handler writes, as JSON; other bytes are returned as they are.

        Raises: InvalidOptionError.
        """
        signature = Signature.remote(payload, result)
        declaration = Declaration(
            check_name("name", name), self._home, function=None, signature=lambda: signature
        )
        task: TypedTask[..., Any] = RemoteTask(declaration, options, known=REMOTE)
        self._remotes.append(task)
        return task

    def include(self, router: Router) -> None:
        """Take in the tasks of a router, behind the prefix and with the defaults of this one.

        What the router declares later belongs here, too.

        Raises: InvalidOptionError: it is included already, or has a type that is in use here.
        """
        if not _can_be_included(router) or router is self:
            raise InvalidOptionError("router", router, "a router that nobody has included yet, and no app")
        router._home.parent = self._home
        try:
            _check_unique([*self._all_tasks(), *router._all_tasks()])
        except InvalidOptionError:
            router._home.parent = None
            raise
        self._included.append(router)

    def _declare(
        self,
        function: Callable[..., Any],
        *,
        names: Mapping[str, Any],
        name: str | None = None,
        aliases: Sequence[str] = (),
        executor: Executor | None = None,
        options: CallOptions,
        known: Sequence[str] = DECLARED,
    ) -> TypedTask[..., Any]:
        function = _function(function)
        if name is None and not function.__name__.isidentifier():
            raise InvalidOptionError("task", function, "a function that has a name, or `name=`")
        is_async = inspect.iscoroutinefunction(function)
        if executor is not None and (is_async or executor not in EXECUTORS):
            raise InvalidOptionError("executor", executor, '"thread" or "process", for plain functions')
        if executor == "process":
            Place.of(function)
        if isinstance(aliases, str):
            raise InvalidOptionError("aliases", aliases, "a list of types")
        declaration = Declaration(
            check_name("name", function.__name__ if name is None else name),
            self._home,
            function=function,
            signature=partial(Signature.of, function, names, may_inject=executor != "process"),
            aliases=aliases,
            executor=executor,
        )
        task: TypedTask[..., Any] = (AsyncTask if is_async else PlainTask)(declaration, options, known=known)
        if _is_of_a_cell(task):
            if executor == "process":
                raise InvalidOptionError("executor", executor, "with a function of a module, not of a cell")
            self._forget(task.type)
        _check_unique([*self._all_tasks(), task])
        declaration.read_early()
        task.check_unique_key()
        self._tasks.append(task)
        return task

    def _forget(self, task_type: str) -> None:
        """A cell that is run again declares its tasks anew."""
        old = [task for task in self._tasks if task.type == task_type and _is_of_a_cell(task)]
        gone = [task.declaration for task in old]
        self._tasks = [task for task in self._tasks if task not in old]
        self._entries = [entry for entry in self._entries if entry.task.declaration not in gone]

    # -- for the app ------------------------------------------------------------------------------------

    def _all_tasks(self) -> Iterator[TypedTask[..., Any]]:
        yield from self._tasks
        for router in self._included:
            yield from router._all_tasks()

    def _all_remotes(self) -> Iterator[TypedTask[..., Any]]:
        yield from self._remotes
        for router in self._included:
            yield from router._all_remotes()

    def _all_entries(self) -> Iterator[CronEntry]:
        yield from self._entries
        for router in self._included:
            yield from router._all_entries()


def _function(given: object) -> Callable[..., Any]:
    """What a task runs. Raises: InvalidOptionError: it could not be called where the task runs."""
    function = given.__func__ if isinstance(given, staticmethod) else given
    if isinstance(given, classmethod) or not inspect.isroutine(function):
        raise InvalidOptionError("task", given, "a function")
    if _is_method(function):
        raise InvalidOptionError(
            "task",
            function.__qualname__,
            "a function, or a static method: where the task runs there is no object to call it on",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidOptionError("task", function, "a function that does not yield")
    return function


def _is_method(function: Callable[..., Any]) -> bool:
    """Is it one without its object? It stands in a class, and its first parameter is what methods have."""
    outer = function.__qualname__.rpartition(".")[0]
    if inspect.ismethod(function) or not outer or outer.endswith("<locals>"):
        return False
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and first.name in ("self", "cls") and first.annotation is first.empty


def _can_be_included(router: object) -> bool:
    return isinstance(router, Router) and not router._home.is_root and router._home.parent is None


def _is_of_a_cell(task: TypedTask[..., Any]) -> bool:
    """Was its function typed into a notebook or a shell?"""
    function = inspect.unwrap(task.declaration.function) if task.declaration.function is not None else None
    if not inspect.isfunction(function) or function.__module__ != "__main__":
        return False
    file = function.__code__.co_filename
    return file.startswith("<") or "ipykernel_" in file


def _check_unique(tasks: Sequence[TypedTask[..., Any]]) -> None:
    seen: set[str] = set()
    for task in tasks:
        for task_type in (task.type, *task.declaration.aliases):
            if task_type in seen:
                raise InvalidOptionError("name", task_type, "each type once in an app")
            seen.add(task_type)
