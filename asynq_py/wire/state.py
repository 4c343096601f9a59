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
