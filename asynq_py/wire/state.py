"""Task states: the names stored in Redis, and the numbers Go's public API uses. Wire format 4.2."""

from enum import StrEnum


class TaskState(StrEnum):
    """Where a task is in its life. The value is what the hash field `state` holds."""

    ACTIVE = "active"
    PENDING = "pending"
    SCHEDULED = "scheduled"
    RETRY = "retry"
    ARCHIVED = "archived"
    COMPLETED = "completed"
    AGGREGATING = "aggregating"

    @property
    def number(self) -> int:
        """The value of the constant in asynq (Go)."""
        return list(TaskState).index(self) + 1


class FlowState(StrEnum):
    """Where a flow is in its life. The value is what its hash field `status` holds; Go has no flows."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """Where a step of a flow is. The value is what the field of the step holds.

    WAITING: for other steps. READY: about to be enqueued. SENT: it is a task, whose state says more.
    IDLE: a follow-up whose case has not come.
    """

    WAITING = "waiting"
    READY = "ready"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    IDLE = "idle"
