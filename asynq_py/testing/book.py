"""Book: what was enqueued, and the assertions about it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from asynq_py.info import TaskInfo
from asynq_py.task import Task
from asynq_py.testing.virtual_clock import Span, seconds_of

_SHOWN = 20  # tasks that a message lists


class SomeSignature(Protocol):
    """`fits`: does a payload have these arguments, whatever else it has? Both raise PayloadError."""

    def fits(
        self, task_type: str, payload: bytes, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> bool: ...

    def dump_result(self, task_type: str, value: Any) -> bytes: ...


class SomeDeclaration(Protocol):
    @property
    def aliases(self) -> Sequence[str]: ...

    @property
    def signature(self) -> SomeSignature: ...


class SomeTypedTask(Protocol):
    """A task of an App."""

    @property
    def type(self) -> str: ...

    @property
    def declaration(self) -> SomeDeclaration: ...


Which: TypeAlias = "str | Task | SomeTypedTask"
"""A typed task, a type, or a core Task: its type and its payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """A task that was enqueued. `process_at`: when it is to run; None: when its group is aggregated."""

    type: str
    id: str
    queue: str
    payload: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    group: str | None
    enqueued_at: datetime
    process_at: datetime | None

    @classmethod
    def of(cls, info: TaskInfo, at: datetime) -> Enqueued:
        return cls(
            **{name: getattr(info, name) for name in ("type", "id", "queue", "payload", "headers", "group")},
            enqueued_at=at,
            process_at=info.next_process_at,
        )

    @property
    def process_in(self) -> float | None:
        """Seconds from when it was enqueued until it is to run; zero: at once."""
        if self.process_at is None:
            return None
        return max(0.0, (self.process_at - self.enqueued_at).total_seconds())

    def json(self) -> Any:
        """Decode the payload. Raises: ValueError: it is no JSON."""
        return json.loads(self.payload)

    def __str__(self) -> str:
        where = [f"in queue {self.queue!r}"]
        if self.group is not None:
            where.append(f"in group {self.group!r}")
        if self.process_in:
            where.append(f"to run after {self.process_in:g} s")
        return f"{self.type} {_text(self.payload)} {', '.join(where)}"


class Book:
    """In the order in which they were enqueued."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, datetime], Enqueued] = {}
        self._known: set[tuple[str, str]] = set()

    def add(self, entry: Enqueued) -> None:
        self._entries[entry.queue, entry.id, entry.enqueued_at] = entry
        self._known.add((entry.queue, entry.id))

    def knows(self, queue: str, task_id: str) -> bool:
        """Was it ever enqueued, as far as we know? What is cleared stays known: it may be tried again."""
        return (queue, task_id) in self._known

    def clear(self) -> None:
        self._entries.clear()

    def enqueued(self, task: Which | None = None) -> list[Enqueued]:
        """All, or those of a task."""
        return [entry for entry in self._entries.values() if task is None or is_of(task, entry)]

    def found(self, wanted: Wanted) -> list[Enqueued]:
        return [entry for entry in self._entries.values() if wanted.fits(entry)]

    def check(self, wanted: Wanted, count: int | None) -> list[Enqueued]:
        """Raises: AssertionError: it was not enqueued, or not so often. It tells what was."""
        __tracebackhide__ = True
        found = self.found(wanted)
        if found if count is None else len(found) == count:
            return found
        so = "was not enqueued" if not found else f"was enqueued {_times(len(found))}"
        but = "" if count is None else f", not {_times(count)}"
        raise AssertionError(f"{wanted} {so}{but if found else ''}.{self._told()}")

    def check_none(self, wanted: Wanted) -> None:
        __tracebackhide__ = True
        if found := self.found(wanted):
            raise AssertionError(f"{wanted} was enqueued {_times(len(found))}.{self._told()}")

    def _told(self) -> str:
        entries = list(self._entries.values())
        if not entries:
            return " Nothing was."
        lines = [f"  {entry}" for entry in entries[-_SHOWN:]]
        if len(entries) > _SHOWN:
            lines.insert(0, f"  … {len(entries) - _SHOWN} before these")
        return "\n".join(["\nWhat was:", *lines])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an assertion asks for. `payload`: the whole of it, as Task takes it; else some arguments."""

    task: Which
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    payload: object = None
    queue: str | None = None
    process_in: Span | None = None

    def fits(self, entry: Enqueued) -> bool:
        if not is_of(self.task, entry) or self.queue not in (None, entry.queue):
            return False
        if self.process_in is not None and not self._fits_delay(entry):
            return False
        if self.payload is not None and not _is_same(Task("t", self.payload).payload or b"", entry.payload):
            return False
        if isinstance(self.task, str | Task):
            return self._fits_plainly(entry)
        signature = self.task.declaration.signature
        return signature.fits(self.task.type, entry.payload, self.args, self.kwargs)

    def _fits_plainly(self, entry: Enqueued) -> bool:
        if self.args:
            raise TypeError("arguments of a task that is no typed one are given by name")
        if not self.kwargs:
            return True
        data = _read(entry.payload)
        return isinstance(data, dict) and all(
            name in data and data[name] == value for name, value in self.kwargs.items()
        )

    def _fits_delay(self, entry: Enqueued) -> bool:
        # Redis has whole seconds
        wanted = seconds_of(self.process_in or 0.0, "process_in")
        return entry.process_in is not None and abs(entry.process_in - wanted) < 1

    def __str__(self) -> str:
        name = self.task if isinstance(self.task, str) else self.task.type
        told = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        if isinstance(self.task, Task):
            told.append(_text(self.task.payload or b""))
        if self.payload is not None:
            told.append(f"payload={self.payload!r}")
        more = [] if self.queue is None else [f"in queue {self.queue!r}"]
        if self.process_in is not None:
            more.append(f"to run after {seconds_of(self.process_in, 'process_in'):g} s")
        return " ".join([f"{name}({', '.join(told)})", *more])


def types_of(task: Which) -> tuple[str, ...]:
    if isinstance(task, str):
        return (task,)
    if isinstance(task, Task):
        return (task.type,)
    return (task.type, *task.declaration.aliases)


def dumped_result(task: Which, value: object) -> bytes:
    """Raises: PayloadError: the task returns something else."""
    if isinstance(task, str | Task):
        return Task("result", value).payload or b""
    return task.declaration.signature.dump_result(task.type, value)


def is_of(task: Which, entry: Enqueued) -> bool:
    """Is it of this type? And of this payload, where a core Task is named?"""
    if entry.type not in types_of(task):
        return False
    return not isinstance(task, Task) or _is_same(task.payload or b"", entry.payload)


def _is_same(one: bytes, other: bytes) -> bool:
    return one == other or (bool(one and other) and (data := _read(one)) is not None and data == _read(other))


def _read(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return None


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace") if payload else "without a payload"


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
