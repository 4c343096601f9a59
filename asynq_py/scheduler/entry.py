"""Entry: a spec and its task, where it stands, and which of its times are due now. No I/O."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Literal, TypeAlias
from uuid import uuid4

from asynq_py.errors import BrokerError, BrokerUnavailableError, InvalidOptionError
from asynq_py.options import DEFAULTS, Options, TaskOptions, check_name
from asynq_py.scheduler.cron import Schedule, load_zone, parse
from asynq_py.submission import Submission
from asynq_py.task import Task

Missed: TypeAlias = "Literal['skip', 'once'] | int"

PROMPT: Final = 10.0  # seconds by which a time may be late without having been missed
MOST_MISSED: Final = 10_000
LOOK_BACK: Final = 60.0  # seconds to begin with
_OWN: Final = ("name", "timezone", "missed")


class EntryOptions(TaskOptions, total=False):
    """What may be said about an entry: the options of its tasks, and about itself."""

    name: str | None
    """What the entry is called in all schedulers that have it. Default: derived from all it consists of."""
    timezone: str | None
    """The zone that its spec is read in. Default: the scheduler's."""
    missed: Missed | None
    """What becomes of times that passed while no scheduler could enqueue. Default: the scheduler's."""


@dataclass(slots=True)
class Firing:
    """A time whose task is on its way to Redis. `error`: why it is not there yet."""

    at: int
    submission: Submission
    token: str = field(default_factory=lambda: str(uuid4()))
    error: BrokerUnavailableError | BrokerError | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """`identity`: the same in all schedulers that have it. `last`: times after it (unix seconds) are still to
    come; None: not known yet. `previous`: when it was due for the last time, as far as is known.
    `tried`: the time that was last tried. `not_before`: until then somebody else has a turn.
    """

    identity: str
    spec: str
    schedule: Schedule
    task: Task
    missed: Missed
    last: float | None = None
    previous: int | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    next: int | None = None
    tried: int | None = None
    not_before: float = 0.0
    firing: Firing | None = None
    is_busy: bool = False

    @property
    def options(self) -> Options:
        return self.task.options

    def advance(self, to: float) -> None:
        """Times up to this one are done with."""
        self.last = to if self.last is None else max(self.last, to)
        self.next = self.schedule.next_after(self.last)
        self.not_before = 0.0

    @property
    def due_at(self) -> float:
        """When it is to be looked at; it may be over. Infinity: never."""
        if self.last is None:
            return -math.inf
        return math.inf if self.next is None else max(self.next, self.not_before)

    def is_due(self, now: float) -> bool:
        return self.due_at <= now

    def due(self, now: float, *, within: float) -> list[int]:
        """The times to enqueue now, in order. `within`: those that are older, in seconds, are let go.

        The newest one is enqueued whenever it comes in time; of those before it `missed` decides.
        """
        if self.last is None or not self.is_due(now):
            return []
        times = self._latest(now, within, count=self.missed if isinstance(self.missed, int) else 1)
        if self.missed == "skip" and times and now - times[-1] > PROMPT and not self._is_trying(times[-1]):
            times.clear()
        if not times:
            self.advance(self.schedule.closest(self.last, now))
        return times

    def is_past(self, at: int) -> bool:
        """Is this time done with?"""
        return self.last is not None and at <= self.last

    def keep(self) -> int:
        """Seconds for which its last time must be remembered: longer than until the next."""
        return 2 * (self.next - int(self.last)) if self.next is not None and self.last is not None else 0

    def _latest(self, now: float, within: float, *, count: int) -> list[int]:
        """The last times that have come, `count` of them at most. Looks no further back than it must."""
        first = max(self.last or 0.0, now - within - 1)
        span = LOOK_BACK  # grows until enough are found: years may lie behind us, and looking takes time
        while True:
            since = max(first, now - span)
            times = self._times(self.schedule.closest(self.last or 0.0, since), now, not_before=now - within)
            if len(times) >= count or since == first:
                return times[-count:]
            span *= 8

    def _times(self, since: float, now: float, *, not_before: float) -> list[int]:
        times = []
        at = self.schedule.next_after(since)
        while at is not None and at <= now:
            if at >= not_before:
                times.append(at)
            at = self.schedule.next_after(at)
        return times

    def _is_trying(self, at: int) -> bool:
        return self.tried == at


def build(spec: str, task: Task, given: EntryOptions, *, timezone: str, missed: Missed) -> Entry:
    """Make an entry of what a user says. `timezone`, `missed`: unless `given` has its own.

    Raises: InvalidOptionError.
    """
    if not isinstance(task, Task):
        raise InvalidOptionError("task", type(task), "a Task")
    zone = given.get("timezone") or timezone
    load_zone("timezone", zone)
    name, own_missed = given.get("name"), given.get("missed")
    options: TaskOptions = {key: value for key, value in given.items() if key not in _OWN}  # type: ignore[assignment]
    task = task.with_options(**options)
    return Entry(
        identity=identity(spec, zone, task, task.options) if name is None else check_name("name", name),
        spec=spec,
        schedule=parse(spec, zone),
        task=task,
        missed=missed if own_missed is None else check_missed(own_missed),
    )


def check_missed(value: object) -> Missed:
    if value == "skip":
        return "skip"
    if value == "once":
        return "once"
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_MISSED:
        return value
    raise InvalidOptionError("missed", value, f'"skip", "once", or the most to make up, 1 to {MOST_MISSED}')


def identity(spec: str, timezone: str, task: Task, options: Options) -> str:
    """Make a name of all that an entry consists of: the same in every process."""
    parts = [
        *(spec, timezone, task.type, None if task.payload is None else task.payload.hex()),
        *(sorted(task.headers.items()), _given(options)),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _given(options: Options) -> Mapping[str, object]:
    """What is not as by default, so that an option that is new one day changes no name."""
    given = {item.name: getattr(options, item.name) for item in fields(options)}
    return {name: value for name, value in given.items() if value != getattr(DEFAULTS, name)}
