"""Snapshots handed to callers: frozen, with aware datetimes and spans in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from asynq_py.clock import instant
from asynq_py.wire.messages import TaskMessage
from asynq_py.wire.state import TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """A task as it stood when somebody looked. Behaviour 2.6.

    None stands for "none" or "not yet". `timeout` and `retention` are seconds. `is_orphaned`: it was taken,
    but its lease has ended, so its worker is lost and another will take it; only lists of an Inspector tell.
    """

    id: str
    queue: str
    type: str
    payload: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    state: TaskState
    max_retry: int
    retried: int
    last_error: str | None
    last_failed_at: datetime | None
    timeout: int | None
    deadline: datetime | None
    group: str | None
    next_process_at: datetime | None
    retention: int
    completed_at: datetime | None
    result: bytes | None = field(repr=False)
    is_orphaned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """A queue as it stood when somebody looked. Behaviour 13.

    `size` counts the tasks of all states. `latency`: seconds that the next task has been waiting.
    `memory_usage`: bytes, estimated from some of its tasks. `processed`, `failed`: tries that ended today.
    """

    queue: str
    memory_usage: int
    latency: float
    size: int
    groups: int
    pending: int
    active: int
    scheduled: int
    retry: int
    archived: int
    completed: int
    aggregating: int
    processed: int
    failed: int
    processed_total: int
    failed_total: int
    is_paused: bool
    looked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyStats:
    """What a queue did on one day, UTC. Failed tries are among the processed ones."""

    queue: str
    date: date
    processed: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfo:
    """A group, and how many tasks wait in it."""

    group: str
    size: int


def task_info(
    message: TaskMessage,
    *,
    state: TaskState,
    next_process_at: float | None,
    result: bytes | None = None,
    is_orphaned: bool = False,
) -> TaskInfo:
    """Make a snapshot. `next_process_at`: Unix seconds."""
    return TaskInfo(
        id=message.id,
        queue=message.queue,
        type=message.type,
        payload=message.payload,
        headers=dict(message.headers),
        state=state,
        max_retry=message.retry,
        retried=message.retried,
        last_error=message.error_msg or None,
        last_failed_at=_instant(message.last_failed_at),
        timeout=message.timeout or None,
        deadline=_instant(message.deadline),
        group=message.group_key or None,
        next_process_at=None if next_process_at is None else instant(next_process_at),
        retention=message.retention,
        completed_at=_instant(message.completed_at) if state is TaskState.COMPLETED else None,
        result=result,
        is_orphaned=is_orphaned,
    )


def _instant(seconds: int) -> datetime | None:
    return instant(seconds) if seconds else None
