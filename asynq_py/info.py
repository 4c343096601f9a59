"""Snapshots handed to callers: frozen, with aware datetimes and spans in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from asynq_py import option_text
from asynq_py.clock import instant
from asynq_py.options import TaskOptions
from asynq_py.progress import Progress
from asynq_py.wire import messages
from asynq_py.wire.messages import TaskMessage
from asynq_py.wire.state import FlowState, StepState, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """A task as it stood when somebody looked. Behaviour 2.6.

    None stands for "none" or "not yet". `timeout` and `retention` are seconds. `is_orphaned`: it was taken,
    but its lease has ended, so its worker is lost and another will take it; only lists of an Inspector tell.
    `progress`: as its handler last reported it, if it did; lists do not tell.
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
    progress: Progress | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A task that a server runs. `deadline`: when the try ends at the latest."""

    task_id: str
    task_type: str
    task_payload: bytes = field(repr=False)
    queue: str
    started_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """A server that lives. `queues`: priority by name. `status`: new, active, stopped or closed."""

    id: str
    host: str
    pid: int
    concurrency: int
    queues: Mapping[str, int]
    strict_priority: bool
    status: str
    started_at: datetime
    active_workers: tuple[WorkerInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerEntryInfo:
    """What a scheduler that lives enqueues again and again. `options`: as far as schedulers publish them."""

    id: str
    spec: str
    type: str
    payload: bytes = field(repr=False)
    options: TaskOptions
    next_enqueue_at: datetime | None
    previous_enqueue_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueEvent:
    """A task that a scheduler enqueued."""

    task_id: str
    enqueued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStepInfo:
    """A step of a flow, or what follows its end. `id`: within the flow. `task_id`, `queue`: of its task.

    `after`: the IDs of the steps it waits for.
    """

    id: str
    type: str
    queue: str
    task_id: str
    state: StepState
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowInfo:
    """A flow as it stood when somebody looked. `done` of `total` steps have succeeded.

    `failed_step`, `error`: what it failed in, if it did. `steps`: none in a list of flows; those that follow
    the end of the flow come last, and are not among the `total`.
    """

    id: str
    name: str
    state: FlowState
    total: int
    done: int
    created_at: datetime
    ended_at: datetime | None
    failed_step: str | None
    error: str | None
    steps: tuple[FlowStepInfo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """A node of a Cluster."""

    id: str
    host: str
    port: int


def server_infos(
    servers: Iterable[messages.ServerInfo], workers: Iterable[messages.WorkerInfo]
) -> list[ServerInfo]:
    """Make snapshots of servers with what they run, by host and process. Workers without one are left out."""
    running: dict[str, list[WorkerInfo]] = {}
    for worker in workers:
        running.setdefault(worker.server_id, []).append(_worker_info(worker))
    infos = [
        ServerInfo(
            id=server.server_id,
            host=server.host,
            pid=server.pid,
            concurrency=server.concurrency,
            queues=dict(server.queues),
            strict_priority=server.strict_priority,
            status=server.status,
            started_at=messages.instant(server.start_time),
            active_workers=tuple(sorted(running.get(server.server_id, ()), key=lambda w: w.started_at)),
        )
        for server in servers
    ]
    return sorted(infos, key=lambda info: (info.host, info.pid, info.id))


def _worker_info(worker: messages.WorkerInfo) -> WorkerInfo:
    return WorkerInfo(
        task_id=worker.task_id,
        task_type=worker.task_type,
        task_payload=worker.task_payload,
        queue=worker.queue,
        started_at=messages.instant(worker.start_time),
        deadline=messages.instant(worker.deadline),
    )


def scheduler_entry_info(entry: messages.SchedulerEntry) -> SchedulerEntryInfo:
    """Make a snapshot. The year 1 is how Go says "never"."""
    following, previous = (messages.instant(at) for at in (entry.next_enqueue_time, entry.prev_enqueue_time))
    return SchedulerEntryInfo(
        id=entry.id,
        spec=entry.spec,
        type=entry.task_type,
        payload=entry.task_payload,
        options=option_text.read(entry.enqueue_options),
        next_enqueue_at=None if following.year == 1 else following,
        previous_enqueue_at=None if previous.year == 1 else previous,
    )


def enqueue_event(event: messages.SchedulerEnqueueEvent) -> EnqueueEvent:
    return EnqueueEvent(task_id=event.task_id, enqueued_at=messages.instant(event.enqueue_time))


def task_info(
    message: TaskMessage,
    *,
    state: TaskState,
    next_process_at: float | None,
    result: bytes | None = None,
    is_orphaned: bool = False,
    progress: Progress | None = None,
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
        progress=progress,
    )


def _instant(seconds: int) -> datetime | None:
    return instant(seconds) if seconds else None
