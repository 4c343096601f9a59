"""From how a try ended to what is written about it. Pure. Behaviour 6.2."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, TypeAlias, TypeVar

from asynq_py.broker.broker import Owned
from asynq_py.errors import HandlerNotFoundError, RetryLater, RevokeTask, SkipRetry
from asynq_py.options import LONGEST
from asynq_py.wire.messages import TaskMessage, completed, failed

E = TypeVar("E", bound=BaseException)


class Done(NamedTuple):
    """Forget the task. `lock`: the key of its unique lock, or ""."""

    task: Owned
    lock: str


class Complete(NamedTuple):
    """Keep the task until `expires_at`, Unix seconds."""

    task: Owned
    lock: str
    message: bytes
    expires_at: int


class Retry(NamedTuple):
    """Try again at `retry_at`, Unix seconds. `counts`: as a failure."""

    task: Owned
    message: bytes
    retry_at: int
    counts: bool


class Archive(NamedTuple):
    """Put the task aside for good."""

    task: Owned
    message: bytes


class Requeue(NamedTuple):
    """Hand the task back; it runs next."""

    task: Owned


class Postpone(NamedTuple):
    """Take the task again at `at`, Unix seconds; it has not run."""

    task: Owned
    at: int


Outcome: TypeAlias = Done | Complete | Retry | Archive | Requeue | Postpone


@dataclass(frozen=True, slots=True)
class Rules:
    """What users decide about failures. `retry_delay` takes failures so far and the error."""

    retry_delay: Callable[[int, BaseException], float | timedelta]
    default_delay: Callable[[int, BaseException], float]
    is_failure: Callable[[BaseException], bool]


def succeed(task: Owned, message: TaskMessage, now: float) -> Outcome:
    """`now`: Unix seconds."""
    if message.retention > 0:
        return Complete(task, message.unique_key, completed(message, now=now), int(now) + message.retention)
    return Done(task, message.unique_key)


def fail(task: Owned, message: TaskMessage, error: BaseException, now: float, rules: Rules) -> Outcome:
    """Order of the questions as in Go: revoked? out of retries, or none wanted? else retried.

    A retry that the handler asked for (RetryLater) is free and so never runs out.
    """
    if _is(error, RevokeTask):
        return Done(task, message.unique_key)
    text = describe(error)
    later = _find(error, RetryLater)
    if later is not None:
        return Retry(
            task, failed(message, error=text, now=now, counted=False), math.ceil(now + later.delay), False
        )
    if _is(error, SkipRetry) or message.retried >= message.retry:
        return Archive(task, failed(message, error=text, now=now, counted=False))
    counts = rules.is_failure(error)
    delay = _delay(message.retried, error, rules)
    return Retry(task, failed(message, error=text, now=now, counted=counts), int(now + delay), counts)


def describe(error: BaseException) -> str:
    """The text stored with the task: the error's own, or its kind where it has none to give."""
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, HandlerNotFoundError | SkipRetry) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_wish(error: BaseException) -> bool:
    """Did the handler say what shall become of the task?"""
    return any(_is(error, kind) for kind in (SkipRetry, RevokeTask, RetryLater))


def _delay(n: int, error: BaseException, rules: Rules) -> float:
    delay = rules.retry_delay(n, error)
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    return seconds if 0 <= seconds <= LONGEST else rules.default_delay(n, error)


def _is(error: BaseException, kind: type[BaseException]) -> bool:
    return _find(error, kind) is not None


def _find(error: BaseException, kind: type[E]) -> E | None:
    """The error itself or what it was raised from, as Go looks through wrapped errors."""
    seen: BaseException | None = error
    for _ in range(16):
        if seen is None or isinstance(seen, kind):
            return seen
        seen = seen.__cause__
    return None
