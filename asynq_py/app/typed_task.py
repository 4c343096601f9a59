"""TypedTask: a function with a type name. Makes core Tasks of calls; sends them through the app's client."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from copy import copy
from typing import (
    Any,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from asynq_py.app.connections import Connections
from asynq_py.app.handle import TaskHandle
from asynq_py.app.home import Home, merged
from asynq_py.app.resolving import Values, call_here, call_with
from asynq_py.app.signature import Signature
from asynq_py.app.unique_key import UniqueKey, check_names, check_unique_key, key_of
from asynq_py.errors import AsynqError, DuplicateTaskError, EnqueueError, InvalidOptionError
from asynq_py.info import TaskInfo
from asynq_py.options import DEFAULTS, Options, TaskOptions, check_name, read_spans
from asynq_py.suggestion import unknown_option
from asynq_py.task import Task
from asynq_py.unique import OnConflict, RuledTask, UniqueRule, UniqueUntil, check_on_conflict, check_until
from asynq_py.workflows.flow import Step

A = TypeVar("A")
P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

Executor: TypeAlias = Literal["thread", "process"]

RESULT_KEPT: Final = 300  # seconds, for who asks to wait and does not say how long


class CallOptions(TaskOptions, total=False):
    """What may be said about a typed task, in its decorator or by `options()`."""

    wait: bool
    """Somebody will wait for the result: keep it for five minutes, unless `retention` says how long."""
    headers: Mapping[str, str] | None
    """Text by name; metadata that handlers can read."""
    unique_key: UniqueKey | None
    """Which calls are the same: a template such as "{user_id}", or a function of some of the arguments, by
    their names. Default: those of the same payload."""
    unique_until: UniqueUntil | None
    """How long a task keeps its like off: until its "start", its "success", its "end" (archived counts), or
    for all the "ttl" that `unique` says. Default "success"."""
    on_conflict: OnConflict | None
    """What then becomes of another one: "raise" DuplicateTaskError; "skip" it; "return" a handle of the one
    that is there; "replace" that one, if it does not run. Default "raise"."""


KNOWN: Final = tuple(CallOptions.__annotations__)
DECLARED: Final = ("name", "aliases", "executor", *KNOWN)  # what `task` takes
REMOTE: Final = ("payload", "result", *KNOWN)  # what `remote` takes
TIMED: Final = ("timezone", "missed", "name", *KNOWN)  # what `cron` takes


class Declaration:
    """What tasks that differ in options only have in common. `type_name`: without the prefix of its home."""

    def __init__(
        self,
        type_name: str,
        home: Home,
        *,
        function: Callable[..., Any] | None,
        signature: Callable[[], Signature],
        aliases: Sequence[str] = (),
        executor: Executor | None = None,
    ) -> None:
        self.type_name = type_name
        self.home = home
        self.function = function
        self.aliases = tuple(check_name("aliases", alias) for alias in aliases)
        self.executor = executor
        self._read = signature
        self._signature: Signature | None = None

    @property
    def type(self) -> str:
        return self.home.prefix + self.type_name if self.function is not None else self.type_name

    def read_early(self) -> None:
        """Read the annotations now, if they mean something by now; else they are read when needed."""
        with contextlib.suppress(NameError):
            self._signature = signature = self._read()
            self._read = lambda: signature  # lets go of the names it was read with

    @property
    def is_read(self) -> bool:
        """Are the annotations known by now?"""
        return self._signature is not None

    @property
    def signature(self) -> Signature:
        if self._signature is None:
            try:
                self._signature = self._read()
            except NameError as error:
                raise InvalidOptionError("task", self.type_name, f"annotations that exist: {error}") from None
        return self._signature

    def missing(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values | None:
        """What is to be injected into a direct call, if anything. Raises: InvalidOptionError."""
        try:
            signature = self.signature
        except InvalidOptionError:  # annotations for type checkers alone: it can be called all the same
            return None
        if not signature.injections:
            return None
        names = signature.missing(args, kwargs)
        return Values(signature.injections, names, self.home.overrides) if names else None


class TakesFirst(Protocol[A_contra, Q, R_co]):
    """A typed task by its first parameter and the others; mypy finds these in a method only."""

    def task(self, first: A_contra, /, *args: Q.args, **kwargs: Q.kwargs) -> Task: ...

    def handle(self, task_id: str, queue: str | None = None) -> TaskHandle[R_co]: ...


class TypedTask(Generic[P, R]):
    """A task with the parameters and the result of a function. Made by decorators of an App or a Router.

    Its options are, the later the stronger: those of the app and its routers, of the decorator, and of
    `options()`.
    """

    __name__: str

    def __init__(
        self, declaration: Declaration, options: CallOptions, *, known: Sequence[str] = DECLARED
    ) -> None:
        self.__name__ = declaration.type_name
        self._declaration = declaration
        self._wait = False
        self._headers: dict[str, str] = {}
        self._options: TaskOptions = {}
        self._unique: dict[str, Any] = {}
        self._apply(options, known)
        if declaration.function is not None:
            functools.update_wrapper(self, declaration.function)  # type: ignore[arg-type]  # not callable yet

    @property
    def type(self) -> str:
        """The name by which Redis and other languages know it."""
        return self._declaration.type

    @property
    def declaration(self) -> Declaration:
        return self._declaration

    def options(self, **options: Unpack[CallOptions]) -> Self:
        """Make the same task with other options; this one stays as it is. Raises: InvalidOptionError."""
        other = copy(self)
        other._apply(options, KNOWN)
        return other

    def task(self, /, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Make a core Task of a call: for batches, schedulers, a SyncClient. Raises: PayloadError."""
        task = self._made(self._declaration.signature.dump(self.type, args, kwargs))
        return RuledTask.of(task, self._rule(args, kwargs)) if self._unique else task

    @overload
    def step(self, /, *args: P.args, **kwargs: P.kwargs) -> Step[object, R]: ...
    @overload
    def step(self: TakesFirst[A, Q, R], /, *args: Q.args, **kwargs: Q.kwargs) -> Step[A, R]: ...
    def step(self, /, *args: Any, **kwargs: Any) -> Step[Any, Any]:
        """Make a step of a flow. The result of the step before becomes its first argument, which is left out
        here; or the one that is given as `previous`. A whole call takes no result.

        Raises: PayloadError. InvalidOptionError: an option that steps cannot have.
        """
        for option in self._unique:
            raise InvalidOptionError(option, self._unique[option], "tasks that are no step of a flow")
        payload, at = self._declaration.signature.dump_step(self.type, args, kwargs)
        home = self._declaration.home
        return Step(self._made(payload), at, signature=self._declaration.signature, home=home)

    def check_unique_key(self) -> None:
        """Check what the key asks for, once that is known. Raises: InvalidOptionError."""
        key = self._unique.get("unique_key")
        if key is not None and self._declaration.is_read:
            check_names(key, self._declaration.signature.names)

    def _rule(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> UniqueRule:
        given = dict(self._unique)
        key, signature = given.pop("unique_key", None), self._declaration.signature
        if key is not None:
            check_names(key, signature.names)
            key = key_of(key, self.type, signature.values(self.type, args, kwargs))
        return UniqueRule(
            key, until=given.get("unique_until", "success"), on_conflict=given.get("on_conflict", "raise")
        )

    def _made(self, payload: bytes) -> Task:
        home = self._declaration.home
        given = merged(home.options, self._options)
        if self._wait and not given.get("retention"):
            given = merged(given, {"retention": RESULT_KEPT})
        headers = home.carrier.headers(self.type) | self._headers
        return Task(self.type, payload, headers=headers or None, **given)

    async def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[R]:
        """Store a call as a task. When this returns, Redis has it.

        Raises: PayloadError: the arguments do not fit, and nothing was sent. Else as Client.enqueue.
        """
        connections = self._declaration.home.connections()
        try:
            info = await connections.client.enqueue(self.task(*args, **kwargs))
        except DuplicateTaskError as error:
            answer = handle_or_error(connections, self._declaration.signature, error)
            if isinstance(answer, EnqueueError):
                raise
            return answer
        return self._of(connections, info)

    async def enqueue_many(self, tasks: Iterable[Task]) -> list[TaskHandle[R] | EnqueueError]:
        """Store many calls, made by `task()`, in few round trips; answers in order, one bad task fails alone.

        Raises: as Client.enqueue_many.
        """
        connections = self._declaration.home.connections()
        answers = await connections.client.enqueue_many(tasks)
        signature = self._declaration.signature
        return [handle_or_error(connections, signature, answer) for answer in answers]

    def handle(self, task_id: str, queue: str | None = None) -> TaskHandle[R]:
        """Take up a task that was enqueued before. `queue`: left out, that of this task."""
        return TaskHandle(
            self._declaration.home.connections(),
            self._declaration.signature,
            task_id=check_name("task_id", task_id),
            queue=self.checked_options().queue if queue is None else check_name("queue", queue),
            task_type=self.type,
            keeps_result=True,  # so far as we know
        )

    def checked_options(self) -> Options:
        """What it is enqueued with, so far."""
        return DEFAULTS.override(merged(self._declaration.home.options, self._options))

    def _of(self, connections: Connections, info: TaskInfo) -> TaskHandle[R]:
        return handle_of(connections, self._declaration.signature, info)

    def _apply(self, options: CallOptions, known: Sequence[str]) -> None:
        for name in options.keys() - set(known):
            raise unknown_option(name, options.get(name), known, of="a task")
        given: dict[str, Any] = dict(options)
        wait = given.pop("wait", self._wait)
        if not isinstance(wait, bool):
            raise InvalidOptionError("wait", wait, "True or False")
        self._unique = {**self._unique, **_checked_unique(given)}
        self.check_unique_key()
        headers = given.pop("headers", None)
        self._headers = {**self._headers, **Task("headers", headers=headers).headers}
        self._wait = wait
        DEFAULTS.override(given)
        self._options = merged(self._options, cast(TaskOptions, read_spans(given)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.type}>"


class AsyncTask(TypedTask[P, R]):
    """Of a coroutine function."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run it here and now, without any queue. What is injected and not given is made for this call."""
        function: Callable[P, Coroutine[Any, Any, R]] = _function(self)
        values = self._declaration.missing(args, kwargs)
        return function(*args, **kwargs) if values is None else call_with(function, args, kwargs, values)


class PlainTask(TypedTask[P, R]):
    """Of a plain function, which workers run in a thread or a process."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and now, without any queue. What is injected and not given is made for this call.

        Raises: AsynqError: it needs an event loop to be made.
        """
        function: Callable[P, R] = _function(self)
        values = self._declaration.missing(args, kwargs)
        if values is None:
            return function(*args, **kwargs)
        value: R = call_here(function, args, kwargs, values, values.plan)
        return value


class RemoteTask(TypedTask[P, R]):
    """Handled elsewhere, by a program in Go perhaps, so it cannot be called here."""


def _function(task: TypedTask[..., Any]) -> Callable[..., Any]:
    if task.declaration.function is None:
        raise AsynqError(f"task {task.type!r} has no function here")
    return task.declaration.function


def _checked_unique(given: dict[str, Any]) -> dict[str, Any]:
    """Take these options out; None says nothing."""
    checked: dict[str, Any] = {}
    for name, check in (
        ("unique_key", check_unique_key), ("unique_until", check_until), ("on_conflict", check_on_conflict),
    ):  # fmt: skip
        value = given.pop(name, None)
        if value is not None:
            check(value)
            checked[name] = value
    return checked


def handle_or_error(
    connections: Connections, signature: Signature, answer: TaskInfo | EnqueueError
) -> TaskHandle[Any] | EnqueueError:
    """Of a task that was kept off by another, and should be skipped or be that one, a handle all the same."""
    match answer:
        case TaskInfo():
            return handle_of(connections, signature, answer)
        case DuplicateTaskError(on_conflict="return", held_by=str(held_by)):
            task_id = held_by
        case DuplicateTaskError(on_conflict="skip"):
            task_id = answer.held_by or answer.task_id
        case _:
            return answer
    return TaskHandle(
        connections,
        signature,
        task_id=task_id,
        queue=answer.queue,
        task_type=answer.task_type,
        keeps_result=True,  # so far as we know
        is_new=False,
    )


def handle_of(connections: Connections, signature: Signature, info: TaskInfo) -> TaskHandle[Any]:
    return TaskHandle(
        connections,
        signature,
        task_id=info.id,
        queue=info.queue,
        task_type=info.type,
        keeps_result=info.retention > 0,
    )
