"""What users import, and the shapes they rely on."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

import asynq_py
from asynq_py import (
    ActiveTask,
    App,
    AsynqError,
    CancelReason,
    Client,
    DailyStats,
    EnqueueError,
    GroupInfo,
    Inspector,
    InvalidOptionError,
    PeriodicTask,
    PeriodicTaskManager,
    QueueInfo,
    RedisConfig,
    Router,
    Scheduler,
    SchedulerEntryInfo,
    SchedulerOptions,
    ServeMux,
    Server,
    ServerInfo,
    ServerOptions,
    SyncClient,
    Task,
    TaskHandle,
    TaskInfo,
    TaskOptions,
    TypedTask,
)
from asynq_py.options import Options

CORE = [
    "ActiveTask", "Client", "RedisConfig", "ServeMux", "Server", "SyncClient", "Task", "Inspector",
    "TaskInfo", "current_task", "AsynqError", "InvalidOptionError", "EnqueueError", "DuplicateTaskError",
    "TaskIDConflictError", "QueueNotFoundError", "QueueNotEmptyError", "TaskNotFoundError",
    "BrokerUnavailableError", "LeaseExpiredError", "HandlerNotFoundError", "TaskFailedError", "SkipRetry",
    "RevokeTask", "RetryLater",
]  # fmt: skip
PROMISED = ["App", "Scheduler", "PeriodicTask", "PeriodicTaskManager"]  # exported as soon as they exist

OPTIONS = [
    "queue", "task_id", "max_retry", "timeout", "deadline", "unique", "process_at", "process_in",
    "retention", "group",
]  # fmt: skip
CONFIG = [
    "concurrency", "queues", "strict_priority", "retry_delay", "is_failure", "error_handler",
    "shutdown_timeout", "poll_interval", "forward_interval", "janitor_interval", "janitor_batch_size",
    "health_check", "health_check_interval", "group_aggregator", "group_grace_period", "group_max_delay",
    "group_max_size", "handle_signals",
]  # fmt: skip


def test_all_is_sorted_and_every_name_is_what_its_module_says() -> None:
    assert asynq_py.__all__ == sorted(asynq_py.__all__)
    tree = ast.parse(Path(asynq_py.__file__).read_text("utf-8"))
    imported = {
        alias.name: getattr(importlib.import_module(node.module or ""), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("asynq_py")
        for alias in node.names
        if not (alias.asname or "").startswith("_")
    }
    assert {name: getattr(asynq_py, name) for name in asynq_py.__all__} == imported
    assert set(asynq_py.__all__) <= set(dir(asynq_py))


def test_a_name_that_does_not_exist_is_an_error_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'asynq_py' has no attribute 'Nonsense'"):
        asynq_py.Nonsense  # type: ignore[attr-defined]  # noqa: B018  # that is the point


def test_importing_the_package_alone_imports_no_library() -> None:
    heavy = {"redis", "google", "anyio", "asyncio", "msgspec", "pydantic"}
    look = f"import sys, asynq_py; print(*{heavy} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=30)
    assert (ended.stdout.strip(), ended.stderr) == ("", "")


def test_the_core_layer_is_exported() -> None:
    assert set(CORE) - set(asynq_py.__all__) == set()


def test_what_is_promised_is_exported_as_soon_as_it_exists() -> None:
    defined = {
        node.name
        for path in Path(asynq_py.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    assert (defined & set(PROMISED)) - set(asynq_py.__all__) == set()


def test_every_public_class_and_function_is_described() -> None:
    public = {name: getattr(asynq_py, name) for name in asynq_py.__all__}
    described = [
        name for name, value in public.items() if inspect.isclass(value) or inspect.isfunction(value)
    ]
    assert [name for name in described if not public[name].__doc__] == []


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (Task, "(type, payload=None, *, headers=None, **options)"),
        (Client.enqueue, "(self, task, **options)"),
        (Client.enqueue_many, "(self, tasks, **options)"),
        (Client.ping, "(self)"),
        (Client.aclose, "(self)"),
        (Server, "(redis, handler, **config)"),
        (Server.serve, "(self)"),
        (Server.start, "(self)"),
        (Server.stop, "(self)"),
        (Server.shutdown, "(self)"),
        (Server.ping, "(self)"),
        (ServeMux.handler, "(self, pattern)"),
        (ServeMux.handle, "(self, pattern, handler)"),
        (ServeMux.use, "(self, *middleware)"),
        (ActiveTask.json, "(self)"),
        (ActiveTask.write_result, "(self, data)"),
        (ActiveTask.progress, "(self, done, total=None, note=None)"),
        (asynq_py.current_task, "()"),
        (Scheduler.register, "(self, spec, task, **options)"),
        (Scheduler.unregister, "(self, entry_id)"),
        (Scheduler.serve, "(self)"),
        (PeriodicTask, "(spec, task, **options)"),
        (PeriodicTaskManager, "(redis, provider, *, sync_interval=180.0, **options)"),
        (PeriodicTaskManager.serve, "(self)"),
        (App, "(redis=None, *, prefix='', **options)"),
        (App.server, "(self, **config)"),
        (App.scheduler, "(self, **options)"),
        (App.enqueue_many, "(self, tasks)"),
        (App.aclose, "(self)"),
        (Router, "(prefix='', **options)"),
        (Router.include, "(self, router)"),
        (TypedTask.enqueue, "(self, /, *args, **kwargs)"),
        (TypedTask.options, "(self, **options)"),
        (TypedTask.task, "(self, /, *args, **kwargs)"),
        (TaskHandle.result, "(self, timeout=None)"),
        (TaskHandle.status, "(self)"),
        (TaskHandle.info, "(self)"),
        (TaskHandle.progress, "(self)"),
        (TaskHandle.cancel, "(self)"),
        (Inspector.aclose, "(self)"),
        (Inspector.queues, "(self)"),
        (Inspector.queue_info, "(self, queue)"),
        (Inspector.history, "(self, queue, days)"),
        (Inspector.list_pending, "(self, queue, page=1, size=30)"),
        (Inspector.list_aggregating, "(self, queue, group, page=1, size=30)"),
        (Inspector.tasks, "(self, queue, state, *, group=None)"),
        (Inspector.run_task, "(self, queue, task_id)"),
        (Inspector.archive_all_retry, "(self, queue)"),
        (Inspector.cancel_processing, "(self, task_id)"),
        (Inspector.pause_queue, "(self, queue)"),
        (Inspector.delete_queue, "(self, queue, *, force=False)"),
        (Inspector.servers, "(self)"),
        (Inspector.scheduler_entries, "(self)"),
    ],
)
def test_a_call_has_the_shape_that_is_promised(function: Callable[..., object], shape: str) -> None:
    signature = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == shape


GO_INSPECTOR = [
    "queues", "queue_info", "history", "groups", "task_info", "list_pending", "list_active",
    "list_scheduled", "list_retry", "list_archived", "list_completed", "list_aggregating", "run_task",
    "run_all_scheduled", "run_all_retry", "run_all_archived", "run_all_aggregating", "archive_task",
    "archive_all_pending", "archive_all_scheduled", "archive_all_retry", "archive_all_aggregating",
    "delete_task", "delete_all_pending", "delete_all_scheduled", "delete_all_retry",
    "delete_all_archived", "delete_all_completed", "delete_all_aggregating", "update_task_payload",
    "delete_queue", "pause_queue", "unpause_queue", "cancel_processing", "servers", "scheduler_entries",
    "list_scheduler_enqueue_events", "cluster_key_slot", "cluster_nodes",
]  # fmt: skip


@pytest.mark.parametrize("name", GO_INSPECTOR)
def test_the_inspector_has_every_operation_of_go_and_tells_what_it_does(name: str) -> None:
    method = getattr(Inspector, name)
    assert inspect.iscoroutinefunction(method)
    assert method.__doc__


@pytest.mark.parametrize("kind", [Client, SyncClient, Inspector])
def test_redis_comes_first_and_may_be_left_out_and_the_rest_is_named(kind: type) -> None:
    first, *others = inspect.signature(kind).parameters.values()
    assert (first.name, first.default) == ("redis", None)
    assert {other.kind for other in others} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", ["enqueue", "enqueue_many", "ping"])
def test_the_sync_client_takes_what_the_client_takes_and_needs_no_await(name: str) -> None:
    ours, theirs = getattr(SyncClient, name), getattr(Client, name)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert inspect.iscoroutinefunction(theirs)
    assert not inspect.iscoroutinefunction(ours)


@pytest.mark.parametrize("kind", [App, Client, Inspector, Server, Scheduler, PeriodicTaskManager])
def test_what_holds_connections_is_an_async_context_manager(kind: type) -> None:
    assert inspect.iscoroutinefunction(kind.__aenter__)  # type: ignore[attr-defined]
    assert inspect.iscoroutinefunction(kind.__aexit__)  # type: ignore[attr-defined]


def test_the_options_of_a_task_are_those_promised() -> None:
    assert list(TaskOptions.__annotations__) == OPTIONS
    assert [field.name for field in fields(Options)] == OPTIONS


def test_the_options_of_a_server_include_those_promised() -> None:
    assert set(CONFIG) - set(ServerOptions.__annotations__) == set()


def test_the_options_of_a_scheduler_are_those_that_it_takes() -> None:
    _, *named = inspect.signature(Scheduler).parameters
    assert named == list(SchedulerOptions.__annotations__)
    assert named[0] == "timezone"


def test_an_active_task_has_what_handlers_are_promised() -> None:
    promised = "type payload headers id queue retried max_retry deadline group cancel_reason"
    assert set(promised.split()) - set(dir(ActiveTask)) == set()
    assert {reason.name for reason in CancelReason} == {
        "TIMEOUT", "DEADLINE", "CANCELLED", "SHUTDOWN", "LEASE_LOST",
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        PeriodicTask,
        Task,
        TaskInfo,
        RedisConfig,
        QueueInfo,
        DailyStats,
        GroupInfo,
        ServerInfo,
        SchedulerEntryInfo,
    ],
)
def test_values_are_frozen(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(asynq_py.__file__).with_name("py.typed").is_file()


def test_every_error_is_ours() -> None:
    errors = {
        name
        for name in asynq_py.__all__
        if name.endswith("Error") and not issubclass(getattr(asynq_py, name), AsynqError)
    }
    assert errors == set()
    assert issubclass(InvalidOptionError, ValueError)
    assert {kind.__name__ for kind in EnqueueError.__subclasses__()} == {
        "DuplicateTaskError", "NotReplicatedError", "TaskIDConflictError",
    }  # fmt: skip
