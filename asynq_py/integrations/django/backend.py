"""AsynqBackend: Django's Tasks in queues of asynq."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from asynq_py import (
    Client,
    Inspector,
    QueueNotFoundError,
    TaskInfo,
    TaskNotFoundError,
    TaskOptions,
    TaskState,
)
from asynq_py import Task as CoreTask
from asynq_py.integrations.django.bands import band_of, places, queue_of
from asynq_py.integrations.django.framework import (
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_enqueued,
)
from asynq_py.integrations.django.portal import portal_to
from asynq_py.integrations.django.record import Record, moment

PREFIX: Final = "django:"  # of the types of its tasks; behind it stands where the function is
BACKEND: Final = "django-backend"  # headers
ENQUEUED_AT: Final = "django-enqueued-at"
PRIORITY: Final = "django-priority"
RETENTION: Final = 24 * 3600.0  # seconds for which results are kept

_STATUSES: Final = {
    TaskState.ACTIVE: TaskResultStatus.RUNNING,
    TaskState.COMPLETED: TaskResultStatus.SUCCESSFUL,
    TaskState.ARCHIVED: TaskResultStatus.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AsynqTask(Task):  # type: ignore[misc]  # Django brings no types
    """A task with options of asynq: `@task(max_retry=5)`, from Django 6.1 on. None: as the backend says."""

    max_retry: int | None = None
    timeout: float | None = None
    retention: float | None = None
    unique: float | None = None


class AsynqBackend(BaseTaskBackend):  # type: ignore[misc]  # Django brings no types
    """OPTIONS: `redis`, a URL; `max_retry` (0: Django's tasks are not tried again unless you say so),
    `timeout`, `retention` (a day); `enqueue_on_commit` (False), or the alias of a database;
    `priorities` (True): tasks that have one go to a queue beside their own.
    """

    task_class = AsynqTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        super().__init__(alias, params)
        options = dict(self.options)
        self.redis: str | None = options.pop("redis", None)
        self._on_commit: bool | str = options.pop("enqueue_on_commit", False)
        self.supports_priority = bool(options.pop("priorities", True))
        self._defaults: TaskOptions = {"max_retry": 0, "retention": RETENTION, **options}  # type: ignore[typeddict-item]
        CoreTask("checked here", **self._defaults)  # a mistake is told when the backend is made
        self._portal = portal_to(self.redis)

    # -- enqueueing -------------------------------------------------------------------------------------

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        result = self._result_of(task, args, kwargs)
        send = partial(self._send, self._message(result), result)
        if self._on_commit:
            database = None if self._on_commit is True else self._on_commit
            transaction.on_commit(send, using=database)
        else:
            send()
        return result

    async def aenqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self._on_commit:  # transactions belong to threads
            return await super().aenqueue(task, args, kwargs)
        result = self._result_of(task, args, kwargs)
        message = self._message(result)
        await self._portal.acall(lambda client, _: client.enqueue(message))
        await task_enqueued.asend(type(self), task_result=result)
        return result

    def _send(self, message: CoreTask, result: Any) -> None:
        self._portal.call(lambda client, _: client.enqueue(message))
        task_enqueued.send(type(self), task_result=result)

    def _result_of(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        self.validate_task(task)
        return TaskResult(
            task=task,
            id=str(uuid.uuid4()),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )

    def core_task(self, task: Any, *args: Any, **kwargs: Any) -> CoreTask:
        """Make a task of asynq of a call: for a Scheduler, a flow, or a client of your own.

        Raises: InvalidTask. TypeError: JSON cannot hold the arguments.
        """
        headers = {BACKEND: self.alias}
        if task.priority:
            headers[PRIORITY] = str(task.priority)
        return self._task(self._result_of(task, args, kwargs), headers)

    def _message(self, result: Any) -> CoreTask:
        headers = {BACKEND: self.alias, ENQUEUED_AT: result.enqueued_at.isoformat()}
        if result.task.priority:
            headers[PRIORITY] = str(result.task.priority)
        return self._task(result, headers).with_options(task_id=result.id)

    def _task(self, result: Any, headers: Mapping[str, str]) -> CoreTask:
        task = result.task
        options: TaskOptions = {**self._defaults, "queue": band_of(task.queue_name, task.priority)}
        for name in ("max_retry", "timeout", "retention", "unique"):
            if (value := getattr(task, name, None)) is not None:
                options[name] = value
        if task.run_after is not None:
            after = task.run_after
            options["process_at"] = after if timezone.is_aware(after) else timezone.make_aware(after)
        return CoreTask(
            PREFIX + task.module_path,
            {"args": result.args, "kwargs": result.kwargs},
            headers=headers,
            **options,
        )

    def known(self, task_type: str, queue: str, headers: Mapping[str, str]) -> Any:
        """Find the task of what came through Redis.

        Raises: ImportError: there is none. InvalidTask. ValueError: a priority that is no number.
        """
        priority = int(headers.get(PRIORITY, "0"))
        name = queue_of(queue) if priority or (self.queues and queue not in self.queues) else queue
        return function_of(task_type).using(queue_name=name, backend=self.alias, priority=priority)

    # -- looking at them --------------------------------------------------------------------------------

    def get_result(self, result_id: str) -> Any:
        return self._read(self._portal.call(partial(self._look, result_id)))

    async def aget_result(self, result_id: str) -> Any:
        return self._read(await self._portal.acall(partial(self._look, result_id)))

    async def _look(self, result_id: str, client: Client, inspector: Inspector) -> TaskInfo:
        """An ID does not tell the queue, so they are looked through."""
        for queue in places(sorted(self.queues)) or await inspector.queues():
            try:
                return await inspector.task_info(queue, result_id)
            except (TaskNotFoundError, QueueNotFoundError):
                continue
        raise TaskResultDoesNotExist(result_id)

    def _read(self, info: TaskInfo) -> Any:
        """Raises: TaskResultDoesNotExist: it is no task of Django, or its function is gone."""
        if not info.type.startswith(PREFIX) or info.headers.get(BACKEND) != self.alias:
            raise TaskResultDoesNotExist(info.id)
        try:
            task = self.known(info.type, info.queue, info.headers)
            payload = json.loads(info.payload)
            args, kwargs = payload["args"], payload["kwargs"]
        except (InvalidTask, ImportError, LookupError, ValueError) as error:
            raise TaskResultDoesNotExist(info.id) from error
        record = Record.read(info.result)
        errors = [TaskError(exception_class_path=path, traceback=text) for path, text in record.errors]
        if info.state is TaskState.ARCHIVED and not record.finished_at:
            # it was not the function that failed: a timeout, or a worker that was lost
            errors.append(
                TaskError(exception_class_path="builtins.Exception", traceback=info.last_error or "")
            )
        result = TaskResult(
            task=task,
            id=info.id,
            status=_STATUSES.get(info.state, TaskResultStatus.READY),
            enqueued_at=moment(info.headers.get(ENQUEUED_AT)),
            started_at=moment(record.started_at),
            last_attempted_at=moment(record.last_attempted_at),
            finished_at=moment(record.finished_at) or info.completed_at or _archived_at(info),
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=errors,
            worker_ids=record.worker_ids,
        )
        object.__setattr__(result, "_return_value", record.return_value)
        return result


def _archived_at(info: TaskInfo) -> Any:
    return info.last_failed_at if info.state is TaskState.ARCHIVED else None


def function_of(task_type: str) -> Any:
    """Find the task that a type names. Raises: ImportError: there is none."""
    path = task_type.removeprefix(PREFIX)
    found = import_string(path)
    if not isinstance(found, Task):
        raise ImportError(f"{path} is no task of Django")
    return found
