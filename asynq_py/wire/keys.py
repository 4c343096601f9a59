"""Every Redis key, as a function of the names in it. Wire format, section 2."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

QUEUES: Final = "asynq:queues"
SERVERS: Final = "asynq:servers"
WORKERS: Final = "asynq:workers"
SCHEDULERS: Final = "asynq:schedulers"
CANCEL_CHANNEL: Final = "asynq:cancel"


_PLAIN: Final = (
    "pending", "active", "lease", "scheduled", "retry", "archived", "completed", "groups", "paused",
    "processed", "failed", "aggregation_sets",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The keys of one queue; the braces put them all into one Cluster slot. Wire format 2.2."""

    queue: str
    prefix: str = field(init=False)
    task_prefix: str = field(init=False)
    group_prefix: str = field(init=False)
    pending: str = field(init=False)
    active: str = field(init=False)
    lease: str = field(init=False)
    scheduled: str = field(init=False)
    retry: str = field(init=False)
    archived: str = field(init=False)
    completed: str = field(init=False)
    groups: str = field(init=False)
    paused: str = field(init=False)
    processed: str = field(init=False)
    failed: str = field(init=False)
    aggregation_sets: str = field(init=False)

    def __post_init__(self) -> None:
        prefix = f"asynq:{{{self.queue}}}:"
        object.__setattr__(self, "prefix", prefix)
        object.__setattr__(self, "task_prefix", prefix + "t:")
        object.__setattr__(self, "group_prefix", prefix + "g:")
        for name in _PLAIN:
            object.__setattr__(self, name, prefix + name)

    def task(self, task_id: str) -> str:
        return self.task_prefix + task_id

    def group(self, name: str) -> str:
        return self.group_prefix + name

    def aggregation_set(self, group: str, set_id: str) -> str:
        """Tasks that were taken out of a group for one aggregation."""
        return f"{self.group_prefix}{group}:{set_id}"

    def cron(self, entry: str) -> str:
        """The last time at which an entry of a scheduler was due; Go does not know this key."""
        return f"{self.prefix}cron:{entry}"

    def processed_on(self, now: float) -> str:
        """The counter of the UTC day that `now` (Unix seconds) falls into."""
        return f"{self.processed}:{_utc_date(now)}"

    def failed_on(self, now: float) -> str:
        return f"{self.failed}:{_utc_date(now)}"

    def unique(self, task_type: str, payload: bytes | None) -> str:
        """The lock of a unique task: queue, type and payload take part, nothing else.

        No payload and an empty one give different keys, as `nil` and `[]byte{}` do in Go.
        Source: wire format 2.5.
        """
        digest = "" if payload is None else hashlib.md5(payload, usedforsecurity=False).hexdigest()
        return f"{self.prefix}unique:{task_type}:{digest}"


def server(identity: str) -> str:
    """`identity`: host:pid:uuid of the server. Wire format 2.3."""
    return f"{SERVERS}:{{{identity}}}"


def workers(identity: str) -> str:
    return f"{WORKERS}:{{{identity}}}"


def scheduler(identity: str) -> str:
    """`identity`: host:pid:uuid of the scheduler. Wire format 2.3."""
    return f"{SCHEDULERS}:{{{identity}}}"


def scheduler_history(entry_id: str) -> str:
    return f"asynq:scheduler_history:{entry_id}"


def _utc_date(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
