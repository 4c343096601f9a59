"""Task options: what users give, checked, with Go's defaults; later ones win. Behaviour 2.3."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypedDict

from asynq_py.clock import EARLIEST, LATEST
from asynq_py.errors import InvalidOptionError
from asynq_py.span import TOLD, seconds_in
from asynq_py.suggestion import unknown_option
from asynq_py.wire import limits

Duration: TypeAlias = "float | timedelta | str"
"""Seconds, a timedelta, or text: "90s", "1h30m", "2d"."""

LONGEST: Final = 100 * 365 * 24 * 3600.0  # seconds: far above any use, far below what overflows


class TaskOptions(TypedDict, total=False):
    """What may be said about a task. None means "as if not given".

    Durations are seconds, timedeltas, or text such as "90s", "1h30m", "2d"; instants aware datetimes.
    """

    queue: str | None
    """Where it waits. Default "default"."""
    task_id: str | None
    """Unique within the queue while the task is stored. Default: a random UUID."""
    max_retry: int | None
    """Failed tries after which it is tried again. Default 25."""
    timeout: Duration | None
    """Longest duration of one try, rounded up to seconds. Default: 30 minutes, or none with a deadline."""
    deadline: datetime | None
    """No try runs past this moment."""
    unique: Duration | None
    """Hold a lock on (queue, type, payload) for this long, at least one second; freed on success."""
    process_at: datetime | None
    """Not before this moment."""
    process_in: Duration | None
    """Not before this delay has passed. Of `process_at` and `process_in` the later given wins."""
    retention: Duration | None
    """Keep the task this long after success, whole seconds (rounded up). Default: delete it at once."""
    group: str | None
    """Wait in this group until it is aggregated into one task."""


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options. Spans in seconds, instants in Unix seconds; None: not given."""

    queue: str = limits.DEFAULT_QUEUE
    task_id: str | None = None
    max_retry: int = limits.DEFAULT_MAX_RETRY
    timeout: int | None = None
    deadline: int | None = None
    unique: float | None = None
    process_at: float | None = None
    process_in: float | None = None
    retention: int = 0
    group: str | None = None

    def override(self, given: Mapping[str, object]) -> Options:
        """Apply what a caller gave on top.

        Raises: InvalidOptionError: it names the option, the value and what is allowed.
        """
        changes: dict[str, Any] = {}
        for name, value in given.items():
            check = _CHECKS.get(name)
            if check is None:
                raise unknown_option(name, value, tuple(_CHECKS), of="a task")
            if value is None:  # as if not given: what was said before stands
                continue
            changes[name] = check(name, value)
            other = _EXCLUSIVE.get(name)
            if other is not None:
                changes[other] = None
        return replace(self, **changes)


def read_spans(given: Mapping[str, object]) -> dict[str, Any]:
    """Make seconds of spans that are text, so that what is given once is read once. Nothing is checked."""
    return {
        name: seconds
        if name in _SPANS and isinstance(value, str) and (seconds := seconds_in(value)) is not None
        else value
        for name, value in given.items()
    }


def check_name(option: str, value: object) -> str:
    """Check a task type, queue, task ID or group name."""
    allowed = f"text of 1 to {limits.NAME_LIMIT} characters, not blank, without control characters"
    if not isinstance(value, str) or not value.strip() or len(value) > limits.NAME_LIMIT:
        raise InvalidOptionError(option, value, allowed)
    if not value.isprintable() and any(
        ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in value
    ):
        raise InvalidOptionError(option, value, allowed)
    return value


def check_queue(option: str, value: object) -> str:
    """Check a queue name; braces would break the Cluster slot of its keys (behaviour notes, F9)."""
    name = check_name(option, value)
    if "{" in name or "}" in name:
        raise InvalidOptionError(option, value, "a name without braces")
    return name


def check_seconds(option: str, value: object, *, least: float = 0.0) -> float:
    """Check a duration. Returns seconds."""
    match value:
        case timedelta():
            seconds: object = value.total_seconds()
        case str():
            seconds = seconds_in(value)
        case _:
            seconds = value
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not least <= seconds <= LONGEST  # not true of NaN, either
    ):
        raise InvalidOptionError(
            option, value, f"{least:g} or more seconds (at most 100 years), such a timedelta, or {TOLD}"
        )
    return float(seconds)


def _whole_seconds(option: str, value: object) -> int:
    # rounded up: cut off, a part of a second would come to mean "none"
    return math.ceil(check_seconds(option, value))


def _timeout(option: str, value: object) -> int | None:
    return _whole_seconds(option, value) or None


def _unique(option: str, value: object) -> float:
    return check_seconds(option, value, least=1.0)


def _instant(option: str, value: object) -> float:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidOptionError(option, value, "a datetime with a time zone, such as datetime.now(UTC)")
    return min(max(value.timestamp(), EARLIEST), LATEST)


def _deadline(option: str, value: object) -> int | None:
    return math.ceil(_instant(option, value)) or None  # the epoch means none, as in Go


def _max_retry(option: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limits.MAX_INT32:
        raise InvalidOptionError(option, value, f"a whole number from 0 to {limits.MAX_INT32}")
    return value


_CHECKS: Final[Mapping[str, Callable[[str, object], object]]] = {
    "queue": check_queue,
    "task_id": check_name,
    "max_retry": _max_retry,
    "timeout": _timeout,
    "deadline": _deadline,
    "unique": _unique,
    "process_at": _instant,
    "process_in": check_seconds,
    "retention": _whole_seconds,
    "group": check_name,
}
_SPANS: Final = frozenset({"timeout", "unique", "process_in", "retention"})
_EXCLUSIVE: Final = {"process_at": "process_in", "process_in": "process_at"}
DEFAULTS: Final = Options()
