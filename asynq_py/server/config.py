"""ServerConfig: everything a server can be told, checked before it starts. Behaviour 4."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias, TypedDict, get_args

from asynq_py.active_task import ActiveTask
from asynq_py.clock import Clock, SystemClock, check_clock
from asynq_py.errors import InvalidOptionError
from asynq_py.lifespan import Lifespan, check_lifespan
from asynq_py.options import Duration, check_queue, check_seconds
from asynq_py.retry import default_is_failure, default_retry_delay
from asynq_py.suggestion import unknown_option
from asynq_py.task import Task
from asynq_py.wire import limits

RetryDelay: TypeAlias = Callable[[int, BaseException, ActiveTask], float | timedelta]
IsFailure: TypeAlias = Callable[[BaseException], bool]
ErrorHandler: TypeAlias = Callable[[ActiveTask, BaseException], Awaitable[object] | object]
HealthCheck: TypeAlias = Callable[[Exception | None], Awaitable[object] | object]
GroupAggregator: TypeAlias = Callable[[str, list[Task]], Awaitable[Task] | Task]

OnStuck: TypeAlias = Literal["keep", "release", "exit"]

DEFAULT_CONCURRENCY: Final = 10


class ServerOptions(TypedDict, total=False):
    """The keyword arguments of Server. Durations are seconds or timedeltas."""

    concurrency: int
    """Tasks handled at once. Default 10."""
    thread_limit: int
    """Plain functions running at once, each in a thread. Default: processors + 4, at most 32."""
    queues: Mapping[str, int] | Sequence[str] | Set[str]
    """Queues and their weights; names alone weigh 1. Default: {"default": 1}."""
    strict_priority: bool
    """Take from a queue only when all of greater weight are empty. Default False."""
    retry_delay: RetryDelay
    """(failures so far, error, task) → how long to wait. Default: Go's formula."""
    is_failure: IsFailure
    """Does this error count as a failure? If not, the retry is free. Default: yes."""
    error_handler: ErrorHandler | None
    """Called with task and error after each failed try, before anything is written."""
    shutdown_timeout: Duration
    """How long handlers may go on once shutdown begins. Default 8 s."""
    cancel_grace: Duration
    """How long a cancelled handler may take to end; after that it counts as stuck. Default 2 s."""
    on_stuck: OnStuck
    """What a stuck handler brings about: "keep": its slot stays taken; "release": the slot is free, the task
    stays ours; "exit": the others finish, and the server ends with an error. Default "keep"."""
    poll_interval: Duration
    """Pause between looks at an idle queue where Redis cannot wake us. Default 1 s."""
    forward_interval: Duration
    """Pause between looks for scheduled tasks that are due. Default 1 s."""
    recover_interval: Duration
    """Pause between looks for tasks of dead workers. Default 5 s."""
    max_loop_block: Duration | None
    """How long a blocked event loop keeps its tasks. Default None: each until its own deadline."""
    lease: Duration
    """How long a task stays ours without a sign of life, at least 2 s. Default 30 s."""
    result_limit: int
    """The largest result that a handler may keep, bytes. Default 1 MiB."""
    janitor_interval: Duration
    """Pause between clearings of completed tasks. Default 8 s."""
    janitor_batch_size: int
    """Completed tasks cleared by one script. Default 100."""
    health_check: HealthCheck | None
    """Called with None, or the error of a ping."""
    health_check_interval: Duration
    """Pause between pings. Default 15 s."""
    group_aggregator: GroupAggregator
    """(name of a group, its tasks, the oldest first) → one task. Without it groups are left alone."""
    group_grace_period: Duration
    """A group to which no task came for so long is aggregated, at least 1 s. Default 60 s."""
    group_max_delay: Duration | None
    """A group whose first task waited so long is aggregated. Default None: however long."""
    group_max_size: int | None
    """A group of so many tasks is aggregated, that many at once, at most 5000. Default None: groups of any
    size wait, and 1000 tasks at most are aggregated at once."""
    lifespan: Lifespan | None
    """Makes an async context manager, entered before the first task and left after the last; what it yields
    is `current_app_state()` in handlers."""
    report_leaks: bool
    """Log which asyncio tasks a handler leaves behind; for development, as it costs time. Default False."""
    require_noeviction: bool
    """Fail at the start where Redis may throw keys away, or does not tell. Default False."""
    handle_signals: bool
    """Let `serve()` obey TERM, INT and TSTP. Default True."""
    clock: Clock
    """Where the time comes from."""


def _default_threads() -> int:
    return min(32, (os.cpu_count() or 1) + 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Checked options; spans in seconds."""

    concurrency: int = DEFAULT_CONCURRENCY
    thread_limit: int = field(default_factory=_default_threads)
    queues: Mapping[str, int] = field(default_factory=lambda: {limits.DEFAULT_QUEUE: 1})
    strict_priority: bool = False
    retry_delay: RetryDelay = default_retry_delay
    is_failure: IsFailure = default_is_failure
    error_handler: ErrorHandler | None = None
    shutdown_timeout: float = 8.0
    cancel_grace: float = 2.0
    on_stuck: OnStuck = "keep"
    poll_interval: float = 1.0
    forward_interval: float = 1.0
    recover_interval: float = 5.0
    max_loop_block: float | None = None
    lease: float = limits.LEASE
    result_limit: int = limits.RESULT_LIMIT
    janitor_interval: float = 8.0
    janitor_batch_size: int = 100
    health_check: HealthCheck | None = None
    health_check_interval: float = 15.0
    group_aggregator: GroupAggregator | None = None
    group_grace_period: float = 60.0
    group_max_delay: float | None = None
    group_max_size: int | None = None
    lifespan: Lifespan | None = None
    report_leaks: bool = False
    require_noeviction: bool = False
    handle_signals: bool = True
    clock: Clock = field(default_factory=SystemClock)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ServerConfig:
        """Check what a caller gave. Raises: InvalidOptionError."""
        checked: dict[str, Any] = {}
        for name, value in given.items():
            check = _CHECKS.get(name)
            if check is None:
                raise unknown_option(name, value, tuple(_CHECKS), of="a server")
            checked[name] = check(name, value)
        return cls(**checked)

    @property
    def heartbeat(self) -> float:
        """Seconds between signs of life: 5, as in Go, or less for a short lease."""
        return min(limits.HEARTBEAT, self.lease / 4)


def _count(option: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limits.MAX_INT32:
        raise InvalidOptionError(option, value, "a whole number, one or more")
    return value


def _queues(option: str, value: object) -> Mapping[str, int]:
    if isinstance(value, Sequence | Set) and not isinstance(value, str | bytes):
        value = {check_queue(option, name): 1 for name in value}
    if not isinstance(value, Mapping) or not value:
        raise InvalidOptionError(option, value, "weights by queue name, or queue names; one at least")
    return {
        check_queue(option, name): _count(f"{option}[{name!r}]", weight) for name, weight in value.items()
    }


def _span(least: float) -> Callable[[str, object], float]:
    return lambda option, value: check_seconds(option, value, least=least)


def _flag(option: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidOptionError(option, value, "True or False")
    return value


def _on_stuck(option: str, value: object) -> object:
    if value not in get_args(OnStuck):
        raise InvalidOptionError(option, value, " or ".join(map(repr, get_args(OnStuck))))
    return value


def _span_or_none(option: str, value: object) -> float | None:
    return None if value is None else _span(0.0)(option, value)


def _group_size(option: str, value: object) -> int | None:
    if value is None or (type(value) is int and value == 0):  # 0 means none, as in Go
        return None
    size = _count(option, value)
    if size > limits.GROUP_SET_MAX:
        raise InvalidOptionError(option, value, f"at most {limits.GROUP_SET_MAX}, or None")
    return size


def _callable(option: str, value: object) -> object:
    if not callable(value):
        raise InvalidOptionError(option, value, "a function")
    return value


def _callable_or_none(option: str, value: object) -> object:
    return None if value is None else _callable(option, value)


_CHECKS: Final[Mapping[str, Callable[[str, Any], object]]] = {
    "concurrency": _count,
    "thread_limit": _count,
    "queues": _queues,
    "strict_priority": _flag,
    "retry_delay": _callable,
    "is_failure": _callable,
    "error_handler": _callable_or_none,
    "shutdown_timeout": _span(0.0),
    "cancel_grace": _span(0.0),
    "on_stuck": _on_stuck,
    "poll_interval": _span(0.0),
    "forward_interval": _span(0.05),
    "recover_interval": _span(0.05),
    "max_loop_block": _span_or_none,
    "lease": _span(2.0),
    "result_limit": _count,
    "janitor_interval": _span(0.05),
    "janitor_batch_size": _count,
    "health_check": _callable_or_none,
    "health_check_interval": _span(0.05),
    "group_aggregator": _callable,
    "group_grace_period": _span(1.0),
    "group_max_delay": lambda option, value: _span_or_none(option, value) or None,
    "group_max_size": _group_size,
    "lifespan": check_lifespan,
    "report_leaks": _flag,
    "require_noeviction": _flag,
    "handle_signals": _flag,
    "clock": lambda _, value: check_clock(value),
}
