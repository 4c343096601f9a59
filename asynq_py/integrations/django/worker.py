"""What runs Django's Tasks: a handler for the types of the backend, and servers that have it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable
from traceback import format_exception
from typing import Any, Final, Unpack

import django
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import close_old_connections
from django.utils import timezone

from asynq_py import (
    ActiveTask,
    AsynqError,
    Inspector,
    InvalidOptionError,
    LeaseExpiredError,
    RetryLater,
    ServeMux,
    Server,
    ServerOptions,
    SkipRetry,
)
from asynq_py.integrations.django.backend import BACKEND, ENQUEUED_AT, PREFIX, AsynqBackend, function_of
from asynq_py.integrations.django.bands import with_bands
from asynq_py.integrations.django.framework import (
    InvalidTask,
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultStatus,
    normalize_json,
    task_backends,
    task_finished,
    task_started,
)
from asynq_py.integrations.django.record import Record, moment
from asynq_py.integrations.outcomes import expected_outcome

logger = logging.getLogger(__name__)

PARKED: Final = 60.0  # seconds until a task is tried again whose function this program does not have


class Runner:
    """Runs the tasks of one backend: `mux.handle("django:", runner)`."""

    def __init__(self, backend: AsynqBackend) -> None:
        self._backend = backend
        self._sender = type(backend)
        self._worker_id = f"{socket.gethostname()}:{os.getpid()}"

    async def __call__(self, active: ActiveTask) -> None:
        result = self._result(active, await self._record(active))
        record = Record(
            started_at=result.started_at.isoformat(),
            last_attempted_at=result.last_attempted_at.isoformat(),
            worker_ids=result.worker_ids,
            errors=[(error.exception_class_path, error.traceback) for error in result.errors],
        )
        await _keep(active, record)
        await task_started.asend(self._sender, task_result=result)
        try:
            value = normalize_json(await self._call(active, result))
            # what JSON cannot hold is the task's failure, before anybody is told of a success
            ended = record.succeeded(value, timezone.now())
            ended.write()
            await _keep(active, ended, is_wanted=True)
        except (Exception, SystemExit) as error:
            await self._fail(active, result, record, error)
            raise
        _set(result, status=TaskResultStatus.SUCCESSFUL, finished_at=timezone.now(), _return_value=value)
        await task_finished.asend(self._sender, task_result=result)

    async def _record(self, active: ActiveTask) -> Record:
        """Earlier tries have left theirs."""
        if not active.retried and not active.crashes:
            return Record()
        async with Inspector(self._backend.redis) as inspector:
            return Record.read((await inspector.task_info(active.queue, active.id)).result)

    def _result(self, active: ActiveTask, earlier: Record) -> Any:
        try:
            function_of(active.type)
        except ImportError as error:
            # a worker of a newer version may have it
            raise RetryLater(PARKED, f"parked: {error}") from error
        try:
            task = self._backend.known(active.type, active.queue, active.headers)
            payload = active.json()
            args, kwargs = payload["args"], payload["kwargs"]
        except (InvalidTask, LookupError, TypeError, ValueError) as error:
            raise SkipRetry(f"{type(error).__name__}: {error}") from error
        record = earlier.tried(self._worker_id, timezone.now())
        return TaskResult(
            task=task,
            id=active.id,
            status=TaskResultStatus.RUNNING,
            enqueued_at=moment(active.headers.get(ENQUEUED_AT)),
            started_at=moment(record.started_at),
            last_attempted_at=moment(record.last_attempted_at),
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=active.headers.get(BACKEND, self._backend.alias),
            errors=[TaskError(exception_class_path=path, traceback=text) for path, text in record.errors],
            worker_ids=record.worker_ids,
        )

    async def _call(self, active: ActiveTask, result: Any) -> Any:
        task = result.task
        args = [TaskContext(task_result=result), *result.args] if task.takes_context else result.args
        function: Callable[..., Any] = task.func
        if iscoroutinefunction(function):
            running: Awaitable[Any] = function(*args, **result.kwargs)
            try:
                return await running
            finally:
                await sync_to_async(close_old_connections)()

        def in_thread(_: ActiveTask) -> Any:
            close_old_connections()  # as around a request
            try:
                return function(*args, **result.kwargs)
            finally:
                close_old_connections()

        return await active.run_in_thread(in_thread)

    async def _fail(self, active: ActiveTask, result: Any, record: Record, error: BaseException) -> None:
        kind = type(error)
        path, text = f"{kind.__module__}.{kind.__qualname__}", "".join(format_exception(error))
        is_final = expected_outcome(active, error) == "archived"
        now = timezone.now() if is_final else None
        await _keep(active, record.failed(path, text, now))
        if is_final:
            result.errors.append(TaskError(exception_class_path=path, traceback=text))
            _set(result, status=TaskResultStatus.FAILED, finished_at=now)
            await task_finished.asend(self._sender, task_result=result)


async def _keep(active: ActiveTask, record: Record, *, is_wanted: bool = False) -> None:
    """Redis being away for a moment must neither fail a task nor hide what it failed with.

    `is_wanted`: somebody waits for the value, and one that is too large is the task's failure.
    """
    try:
        await active.write_result(record.write())
    except LeaseExpiredError:
        raise
    except InvalidOptionError as error:
        if is_wanted:
            raise
        logger.warning("what became of %s is not kept: %s", active, error)
    except AsynqError as error:
        logger.warning("what became of %s is not kept: %s", active, error)


def _set(result: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(result, name, value)  # as Django's own backends do


def mux_for(alias: str = "default") -> ServeMux:
    """A mux that runs the tasks of a backend, for further handlers beside. Raises: InvalidOptionError."""
    backend = task_backends[alias]
    if not isinstance(backend, AsynqBackend):
        raise InvalidOptionError("backend", alias, "the alias of an AsynqBackend in TASKS")
    mux = ServeMux()
    mux.handle(PREFIX, Runner(backend))
    return mux


def server_for(alias: str = "default", **config: Unpack[ServerOptions]) -> Server:
    """A server for a backend, by default for the queues that TASKS names.

    Beside each queue it serves those for tasks with a priority. Raises: InvalidOptionError.
    """
    mux = mux_for(alias)
    backend = task_backends[alias]
    if "queues" not in config:
        config["queues"] = sorted(backend.queues) or ["default"]
    server = Server(backend.redis, mux, **config)
    if backend.supports_priority:
        server = server.replace(queues=with_bands(server.config.queues))
    return server


def server() -> Server:
    """For `asynq-py worker asynq_py.integrations.django.worker:server`, with DJANGO_SETTINGS_MODULE set."""
    django.setup()
    return server_for()
