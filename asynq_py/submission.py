"""Submission: a task on its way to Redis, and how it stands when it is there. Pure. Behaviour 2."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asynq_py.broker.broker import Held, NewTask
from asynq_py.clock import instant
from asynq_py.errors import DuplicateTaskError
from asynq_py.info import TaskInfo
from asynq_py.options import Options
from asynq_py.task import Task
from asynq_py.unique import RuledTask, UniqueRule
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import TaskMessage, encode
from asynq_py.wire.state import TaskState


@dataclass(slots=True)
class Submission:
    """A task on its way to Redis. `process_at`: Unix seconds. `repeated`: it may have arrived already."""

    task: Task
    options: Options
    entry: NewTask
    state: TaskState
    process_at: float
    repeated: bool = False
    rule: UniqueRule | None = None


def submission(task: Task, options: Options, *, keys: QueueKeys, task_id: str, now: float) -> Submission:
    """Say what is to be stored for a task, and where. `keys`: of the queue that the options name."""
    process_at = now
    if options.process_at is not None:
        process_at = options.process_at
    elif options.process_in is not None:
        process_at = now + options.process_in
    state = TaskState.PENDING
    if process_at > now:
        state = TaskState.SCHEDULED
    elif options.group is not None:
        state = TaskState.AGGREGATING
    if options.unique is None:
        entry = NewTask(task_id, encode(_message(task, options, task_id, "")))
        return Submission(task, options, entry, state, process_at)
    rule = task.rule if isinstance(task, RuledTask) else None
    if rule is None or rule.key is None:
        lock = keys.unique(task.type, task.payload)
    else:
        lock = keys.unique_by(task.type, rule.key)
    lock_ms = math.ceil((max(process_at - now, 0) + options.unique) * 1000)
    # who ends the task frees the lock that its message names
    named = "" if rule is not None and rule.until == "ttl" else lock
    entry = NewTask(task_id, encode(_message(task, options, task_id, named)), lock, lock_ms)
    return Submission(task, options, entry, state, process_at, rule=rule)


def kept_off(submission: Submission, held: Held) -> DuplicateTaskError:
    """The error of a task that another one keeps off."""
    rule = submission.rule
    return DuplicateTaskError(
        queue=submission.options.queue,
        task_id=submission.entry.id,
        by="payload" if rule is None or rule.key is None else "key",
        held_by=held.holder if held.is_there else None,
        task_type=submission.task.type,
        on_conflict="raise" if rule is None else rule.on_conflict,
    )


def _message(task: Task, options: Options, task_id: str, lock: str) -> TaskMessage:
    message = TaskMessage(
        type=task.type,
        payload=task.payload,
        id=task_id,
        queue=options.queue,
        retry=options.max_retry,
        timeout=_timeout(options),
        deadline=options.deadline,
        unique_key=lock,
        retention=options.retention,
        group_key=options.group,
    )
    if task.headers:
        message.headers.update(task.headers)
    return message


def _timeout(options: Options) -> int:
    if options.timeout or options.deadline:
        return options.timeout or 0
    return limits.DEFAULT_TIMEOUT


def stored_info(submission: Submission, next_process_at: float | None) -> TaskInfo:
    """How a task stands that Redis has just stored; what decoding its message would bring, but quicker."""
    task, options = submission.task, submission.options
    return TaskInfo(
        id=submission.entry.id,
        queue=options.queue,
        type=task.type,
        payload=task.payload or b"",
        headers=task.headers,
        state=submission.state,
        max_retry=options.max_retry,
        retried=0,
        last_error=None,
        last_failed_at=None,
        timeout=_timeout(options) or None,
        deadline=None if options.deadline is None else instant(options.deadline),
        group=options.group,
        next_process_at=None if next_process_at is None else instant(next_process_at),
        retention=options.retention,
        completed_at=None,
        result=None,
    )
