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
FLOWS: Final = "asynq:flows"  # when each flow is looked at next; Go does not know this key

_LONGEST_TAG: Final = 200  # bytes


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

    def cron_turn(self, entry: str, at: int) -> str:
        """Set while one of the schedulers prepares the task of this time; Go does not know it."""
        return f"{self.prefix}cron-turn:{at}:{entry}"

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

    def unique_by(self, task_type: str, key: str) -> str:
        """The lock of tasks that are the same by a key of their own. No payload gives the same one."""
        digest = hashlib.md5(b"\0key\0" + key.encode(), usedforsecurity=False).hexdigest()
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


def semaphore(scope: str) -> str:
    """Who holds the tokens of a semaphore. Wire format 2.4."""
    return f"asynq:sema:{scope}"


@dataclass(frozen=True, slots=True)
class LimitKeys:
    """The keys of one limit, or of its share for one `key`. Go does not know them.

    Keys of Go begin with `asynq:{`, or with one of a few words of which `limit` is none. As no `name` has
    braces, what stands between them is `key`, whatever it may contain; or a digest, when it is long.
    """

    name: str
    key: str = ""
    tokens: str = field(init=False)
    turns: str = field(init=False)
    holds: str = field(init=False)
    pace: str = field(init=False)

    def __post_init__(self) -> None:
        prefix = f"asynq:limit:{self.name}:{{{_tag(self.key)}}}:"
        object.__setattr__(self, "tokens", prefix + "tokens")
        object.__setattr__(self, "turns", prefix + "turns")
        object.__setattr__(self, "holds", prefix + "holds")
        object.__setattr__(self, "pace", prefix + "pace")


@dataclass(frozen=True, slots=True)
class FlowKeys:
    """The keys of one flow, all in one Cluster slot. Go does not know them.

    Keys of Go begin with `asynq:{`, or with one of a few words of which `flow` is none.
    """

    flow: str
    state: str = field(init=False)
    ready: str = field(init=False)
    out: str = field(init=False)

    def __post_init__(self) -> None:
        state = f"asynq:flow:{{{self.flow}}}"
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "ready", state + ":ready")
        object.__setattr__(self, "out", state + ":out")

    @property
    def all(self) -> tuple[str, str, str]:
        return self.state, self.ready, self.out


def line(gate: str) -> str:
    """Who waits at a gate. `gate`: the key of its tokens, turns or holds."""
    return gate + ":line"


def _tag(key: str) -> str:
    """Never empty: the braces put the keys of a limit into one Cluster slot only if something is in them."""
    try:
        data = key.encode()
    except UnicodeEncodeError:  # JSON may hold half a character
        data = key.encode("utf-8", "surrogatepass") + b"\0" * _LONGEST_TAG
    if len(data) > _LONGEST_TAG:
        return f"#{hashlib.sha256(data).hexdigest()}"
    return f"={key}" if key else "*"


def _utc_date(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
