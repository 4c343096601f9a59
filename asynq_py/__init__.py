"""asynq_py: an asyncio task queue on Redis, wire-compatible with asynq (Go)."""

from typing import TYPE_CHECKING, Final

from asynq_py._version import __version__
from asynq_py.late import late as _late

if TYPE_CHECKING:
    from asynq_py.active_task import ActiveTask, CancelReason, current_task
    from asynq_py.app.app import App, AppOptions
    from asynq_py.app.dependencies import Depends, Shared, injected
    from asynq_py.app.handle import TaskHandle
    from asynq_py.app.router import Router
    from asynq_py.app.signature import previous
    from asynq_py.app.typed_task import CallOptions, TypedTask
    from asynq_py.client import Client
    from asynq_py.client_middleware import ClientMiddleware, EnqueueCall, scheduled_at
    from asynq_py.connection import RedisConfig
    from asynq_py.errors import (
        AsynqError,
        BrokerError,
        BrokerUnavailableError,
        DuplicateTaskError,
        EnqueueError,
        FlowCancelledError,
        FlowFailedError,
        FlowNotFoundError,
        HandlerNotFoundError,
        InvalidOptionError,
        LeaseExpiredError,
        MessageDecodeError,
        NotReplicatedError,
        PayloadError,
        PeriodicTaskFileError,
        QueueNotEmptyError,
        QueueNotFoundError,
        RetryLater,
        RevokeTask,
        ServerStateError,
        SkipRetry,
        TaskFailedError,
        TaskIDConflictError,
        TaskNotFoundError,
    )
    from asynq_py.handler import AsyncHandler, Handler
    from asynq_py.info import (
        ClusterNode,
        DailyStats,
        EnqueueEvent,
        FlowInfo,
        FlowStepInfo,
        GroupInfo,
        QueueInfo,
        SchedulerEntryInfo,
        ServerInfo,
        TaskInfo,
        WorkerInfo,
    )
    from asynq_py.inspector import Inspector
    from asynq_py.lifespan import Lifespan, current_app_state
    from asynq_py.middleware import Middleware
    from asynq_py.mux import ServeMux
    from asynq_py.options import TaskOptions
    from asynq_py.progress import Progress
    from asynq_py.ratelimit.concurrency_limit import ConcurrencyLimit, Hold
    from asynq_py.ratelimit.rate_limit import RateLimit
    from asynq_py.retry import default_retry_delay
    from asynq_py.scheduler.entry import EntryOptions
    from asynq_py.scheduler.periodic import PeriodicTask, PeriodicTaskManager
    from asynq_py.scheduler.periodic_file import PeriodicTaskFile
    from asynq_py.scheduler.scheduler import Scheduler, SchedulerOptions
    from asynq_py.semaphore import Semaphore
    from asynq_py.server.config import ServerOptions
    from asynq_py.server.server import Server, ServerState
    from asynq_py.server.supervisor import Supervisor
    from asynq_py.sync_client import SyncClient
    from asynq_py.task import Task
    from asynq_py.wire.state import FlowState, StepState, TaskState
    from asynq_py.workflows.advance import FlowFailure
    from asynq_py.workflows.flow import Flow, Step, chain, each, gather
    from asynq_py.workflows.handle import FlowHandle, FlowProgress

__all__ = [
    "ActiveTask",
    "App",
    "AppOptions",
    "AsyncHandler",
    "AsynqError",
    "BrokerError",
    "BrokerUnavailableError",
    "CallOptions",
    "CancelReason",
    "Client",
    "ClientMiddleware",
    "ClusterNode",
    "ConcurrencyLimit",
    "DailyStats",
    "Depends",
    "DuplicateTaskError",
    "EnqueueCall",
    "EnqueueError",
    "EnqueueEvent",
    "EntryOptions",
    "Flow",
    "FlowCancelledError",
    "FlowFailedError",
    "FlowFailure",
    "FlowHandle",
    "FlowInfo",
    "FlowNotFoundError",
    "FlowProgress",
    "FlowState",
    "FlowStepInfo",
    "GroupInfo",
    "Handler",
    "HandlerNotFoundError",
    "Hold",
    "Inspector",
    "InvalidOptionError",
    "LeaseExpiredError",
    "Lifespan",
    "MessageDecodeError",
    "Middleware",
    "NotReplicatedError",
    "PayloadError",
    "PeriodicTask",
    "PeriodicTaskFile",
    "PeriodicTaskFileError",
    "PeriodicTaskManager",
    "Progress",
    "QueueInfo",
    "QueueNotEmptyError",
    "QueueNotFoundError",
    "RateLimit",
    "RedisConfig",
    "RetryLater",
    "RevokeTask",
    "Router",
    "Scheduler",
    "SchedulerEntryInfo",
    "SchedulerOptions",
    "Semaphore",
    "ServeMux",
    "Server",
    "ServerInfo",
    "ServerOptions",
    "ServerState",
    "ServerStateError",
    "Shared",
    "SkipRetry",
    "Step",
    "StepState",
    "Supervisor",
    "SyncClient",
    "Task",
    "TaskFailedError",
    "TaskHandle",
    "TaskIDConflictError",
    "TaskInfo",
    "TaskNotFoundError",
    "TaskOptions",
    "TaskState",
    "TypedTask",
    "WorkerInfo",
    "__version__",
    "chain",
    "current_app_state",
    "current_task",
    "default_retry_delay",
    "each",
    "gather",
    "injected",
    "previous",
    "scheduled_at",
]

# Where each name comes from: it is imported when it is first asked for, so that a program which needs little,
# such as the help of the command line, does not wait for all the rest.
_MODULES: Final = {
    "active_task": "ActiveTask CancelReason current_task",
    "app.app": "App AppOptions",
    "app.dependencies": "Depends Shared injected",
    "app.handle": "TaskHandle",
    "app.router": "Router",
    "app.signature": "previous",
    "app.typed_task": "CallOptions TypedTask",
    "client": "Client",
    "client_middleware": "ClientMiddleware EnqueueCall scheduled_at",
    "connection": "RedisConfig",
    "errors": (
        "AsynqError BrokerError BrokerUnavailableError DuplicateTaskError EnqueueError "
        "FlowCancelledError FlowFailedError FlowNotFoundError HandlerNotFoundError InvalidOptionError "
        "LeaseExpiredError MessageDecodeError NotReplicatedError "
        "PayloadError PeriodicTaskFileError QueueNotEmptyError QueueNotFoundError RetryLater RevokeTask "
        "ServerStateError SkipRetry TaskFailedError TaskIDConflictError TaskNotFoundError"
    ),
    "handler": "AsyncHandler Handler",
    "info": (
        "ClusterNode DailyStats EnqueueEvent FlowInfo FlowStepInfo GroupInfo QueueInfo SchedulerEntryInfo "
        "ServerInfo TaskInfo WorkerInfo"
    ),
    "inspector": "Inspector",
    "lifespan": "Lifespan current_app_state",
    "middleware": "Middleware",
    "mux": "ServeMux",
    "options": "TaskOptions",
    "progress": "Progress",
    "ratelimit.concurrency_limit": "ConcurrencyLimit Hold",
    "ratelimit.rate_limit": "RateLimit",
    "retry": "default_retry_delay",
    "scheduler.entry": "EntryOptions",
    "scheduler.periodic": "PeriodicTask PeriodicTaskManager",
    "scheduler.periodic_file": "PeriodicTaskFile",
    "scheduler.scheduler": "Scheduler SchedulerOptions",
    "semaphore": "Semaphore",
    "server.config": "ServerOptions",
    "server.server": "Server ServerState",
    "server.supervisor": "Supervisor",
    "sync_client": "SyncClient",
    "task": "Task",
    "wire.state": "FlowState StepState TaskState",
    "workflows.advance": "FlowFailure",
    "workflows.flow": "Flow Step chain each gather",
    "workflows.handle": "FlowHandle FlowProgress",
}
_HOMES: Final = {name: module for module, names in _MODULES.items() for name in names.split()}

if not TYPE_CHECKING:  # a type checker would take it as a promise that every name exists
    __getattr__ = _late(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
