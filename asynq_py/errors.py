"""Every error that asynq_py raises, and the exceptions that a handler raises to steer its task.

AsynqError
├── InvalidOptionError (also a ValueError)      an option, payload, type or setting is not usable
│   └── PayloadError (also a TypeError)         arguments or a payload do not fit the function of a task
├── EnqueueError                                the task was not enqueued
│   ├── DuplicateTaskError                      another task holds the unique lock
│   ├── TaskIDConflictError                     a task of this ID exists in the queue
│   └── NotReplicatedError                      it is stored, but too few replicas have it yet
├── QueueNotFoundError
├── QueueNotEmptyError
├── TaskNotFoundError
├── BrokerUnavailableError                      Redis is away; the driver's error is the cause
├── BrokerError                                 Redis answered, but refused the command
├── MessageDecodeError                          what is stored for a task is not a task message
├── LeaseExpiredError                           the task belongs to somebody else by now
├── HandlerNotFoundError                        no pattern of the mux matches the task's type
├── PeriodicTaskFileError                       a file of periodic tasks is missing or not in order
├── ServerStateError                            the server cannot do that in its present state
├── TaskFailedError                             the task whose result was awaited has failed
├── FlowNotFoundError                           there is no such flow, or none any more
├── FlowFailedError                             a step of the flow failed for good
└── FlowCancelledError                          the flow whose result was awaited was cancelled

Raised by handlers: SkipRetry (archive), RevokeTask (drop), RetryLater (again after a delay, not a failure).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from asynq_py.span import TOLD, seconds_in

QUOTED: Final = 300  # characters of a value that an error shows


class AsynqError(Exception):
    """The root of every error of this package."""


class InvalidOptionError(AsynqError, ValueError):
    """An option has a value that cannot be used; nothing was sent to Redis.

    Attributes: `option`, the name; `value`, as given (a payload is never kept here).
    """

    def __init__(self, option: str, value: object, allowed: str) -> None:
        super().__init__(f"{option}={_short(value)} is not allowed: {allowed}")
        self.option = option
        self.value = value
        self.allowed = allowed


class PayloadError(InvalidOptionError, TypeError):
    """What was passed to a typed task, or came as its payload, does not fit the signature of its function.

    Attributes: `task_type`; `argument`, which one, as a path such as "order.lines[2]"; `problem`.
    """

    def __init__(self, task_type: str, argument: str, problem: str) -> None:
        AsynqError.__init__(self, ": ".join(filter(None, (task_type, argument, problem))))
        self.task_type = task_type
        self.argument = argument
        self.problem = problem
        self.option = argument
        self.value = None  # private, as every payload
        self.allowed = problem


def _short(value: object) -> str:
    """What is quoted goes to logs: a payload given in the wrong place must not fill them."""
    text = repr(value)
    return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"


class EnqueueError(AsynqError):
    """A task was not enqueued.

    Attributes: `task_id`, `queue`.
    """

    def __init__(self, text: str, *, queue: str, task_id: str) -> None:
        super().__init__(text)
        self.queue = queue
        self.task_id = task_id


class DuplicateTaskError(EnqueueError):
    """Another task of the same type and payload, or key, holds the unique lock.

    To middleware of a scheduler also: another scheduler has enqueued this time of the entry.

    Attributes: `held_by`: the ID of that task, if it is known and there; `task_type`, `on_conflict`: of the
    task that was refused, if it has a rule.
    """

    def __init__(
        self,
        *,
        queue: str,
        task_id: str,
        by: str = "payload",
        held_by: str | None = None,
        task_type: str = "",
        on_conflict: str = "raise",
    ) -> None:
        super().__init__(
            f"the task of this time is already in queue {queue!r}, by another scheduler"
            if by == "time"
            else f"a unique task of this type and {by} is already in queue {queue!r}",
            queue=queue,
            task_id=task_id,
        )
        self.held_by = held_by
        self.task_type = task_type
        self.on_conflict = on_conflict


class TaskIDConflictError(EnqueueError):
    """A task of this ID is still stored in the queue, in whatever state."""

    def __init__(self, *, queue: str, task_id: str) -> None:
        super().__init__(
            f"queue {queue!r} already has a task with the ID {task_id!r}", queue=queue, task_id=task_id
        )


class NotReplicatedError(EnqueueError):
    """The task is stored, but too few replicas said in time that they have it, so a failover may lose it.

    It will run unless that happens. To enqueue it again without a second run, give both the same `task_id`.

    Attributes: `acknowledged`: replicas that have it. `wanted`: how many should.
    """

    def __init__(self, *, queue: str, task_id: str, acknowledged: int, wanted: int) -> None:
        super().__init__(
            f"task {task_id!r} is stored in queue {queue!r}, but only {acknowledged} of {wanted} replicas "
            "have acknowledged it",
            queue=queue,
            task_id=task_id,
        )
        self.acknowledged = acknowledged
        self.wanted = wanted


class QueueNotFoundError(AsynqError):
    """No task was ever enqueued to this queue."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"there is no queue {queue!r}")
        self.queue = queue


class QueueNotEmptyError(AsynqError):
    """The queue still holds tasks."""

    def __init__(self, queue: str, tasks: str = "tasks") -> None:
        super().__init__(f"queue {queue!r} is not empty: it has {tasks}")
        self.queue = queue


class TaskNotFoundError(AsynqError):
    """The queue holds no task of this ID."""

    def __init__(self, queue: str, task_id: str) -> None:
        super().__init__(f"queue {queue!r} has no task with the ID {task_id!r}")
        self.queue = queue
        self.task_id = task_id


class BrokerUnavailableError(AsynqError):
    """Redis could not be reached, or did not answer in time.

    Attributes: `maybe_done`: False when the command certainly did not reach Redis, True when it may have
    been carried out although its answer was lost.
    """

    def __init__(self, text: str, *, maybe_done: bool = False) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done


class BrokerError(AsynqError):
    """Redis answered with an error that repeating the command would not mend."""


class MessageDecodeError(AsynqError):
    """The bytes stored for a task are not a task message."""


class LeaseExpiredError(AsynqError):
    """This server no longer owns the task: its lease ended or somebody else took it."""

    def __init__(self, queue: str, task_id: str) -> None:
        super().__init__(f"the lease of task {task_id!r} in queue {queue!r} is lost")
        self.queue = queue
        self.task_id = task_id


class HandlerNotFoundError(AsynqError):
    """No pattern of the mux matches the task's type."""

    def __init__(self, task_type: str) -> None:
        super().__init__(f"handler not found for task {task_type!r}")
        self.task_type = task_type


class ServerStateError(AsynqError):
    """The server cannot do that in its present state."""


class PeriodicTaskFileError(AsynqError):
    """A file of periodic tasks cannot be used.

    Attributes: `path`; `place`, which of its tasks, or None: the file as a whole.
    """

    def __init__(self, path: Path, place: str | None, text: str) -> None:
        super().__init__(f"{path}: {text}" if place is None else f"{path}, {place}: {text}")
        self.path = path
        self.place = place


class TaskFailedError(AsynqError):
    """The task ended without success, so there is no result."""

    def __init__(self, queue: str, task_id: str, error: str) -> None:
        super().__init__(f"task {task_id!r} in queue {queue!r} failed: {error}")
        self.queue = queue
        self.task_id = task_id
        self.error = error


class FlowNotFoundError(AsynqError):
    """There is no flow of this ID: it never began, or ended so long ago that it is forgotten."""

    def __init__(self, flow_id: str) -> None:
        super().__init__(f"there is no flow {flow_id!r}")
        self.flow_id = flow_id


class FlowFailedError(AsynqError):
    """A step of the flow failed for good, so the flow has no result.

    Attributes: `flow_id`; `task_type`, `queue`, `task_id`: of the step; `error`: what was wrong with it.
    """

    def __init__(self, flow_id: str, *, task_type: str, queue: str, task_id: str, error: str) -> None:
        super().__init__(f"flow {flow_id!r} failed in {task_type!r}: {error}")
        self.flow_id = flow_id
        self.task_type = task_type
        self.queue = queue
        self.task_id = task_id
        self.error = error


class FlowCancelledError(AsynqError):
    """The flow was cancelled, so it has no result."""

    def __init__(self, flow_id: str) -> None:
        super().__init__(f"flow {flow_id!r} was cancelled")
        self.flow_id = flow_id


class SkipRetry(Exception):
    """Raise in a handler: fail the task for good and archive it, whatever retries are left."""


class RevokeTask(Exception):
    """Raise in a handler: drop the task. It counts as processed, and nothing of it is kept."""


class RetryLater(Exception):
    """Raise in a handler: try again after `delay` without counting a failure.

    `delay`: seconds, a timedelta, or text such as "90s", "1h30m", "2d"; not negative.
    """

    def __init__(self, delay: float | timedelta | str, reason: str = "retry later") -> None:
        super().__init__(reason)
        match delay:
            case timedelta():
                seconds: object = delay.total_seconds()
            case str():
                seconds = seconds_in(delay)
            case _:
                seconds = delay
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 <= seconds < float("inf")  # not true of NaN, either
        ):
            raise InvalidOptionError("delay", delay, f"zero or more seconds, such a timedelta, or {TOLD}")
        self.delay = float(seconds)

    def __reduce__(self) -> tuple[type[RetryLater], tuple[float, str]]:
        return type(self), (self.delay, str(self))  # between processes, too, the delay is kept
