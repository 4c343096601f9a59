"""Is every task accounted for? The invariants I1 … I9, which hold whenever no script is running.

I1  every ID is in exactly one place: pending, active, a sorted set of a state, a group or a set that is
    being aggregated
I2  its hash is there, can be decoded, and names that place
I3  no hash without a place
I4  active ⇔ lease
I5  a unique lock ⇒ its holder lives, is not completed, and names that lock
I6  `asynq:queues` names every queue that has tasks
I7  failed ≤ processed; both together count what ended
I8  no key but those that are documented
I9  no key without an end grows with the number of finished tasks: locks, daily counters, times of entries and
    what processes say of themselves all end by themselves
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import DecodeError
from redis.asyncio import Redis

from asynq_py.wire.messages import TaskMessage
from tests.verify.snapshot import Entry, Snapshot, snapshot

_OF_QUEUE: Final = re.compile(
    r"asynq:\{(?P<queue>.+?)\}:(?P<name>pending|active|lease|scheduled|retry|archived|completed|groups|paused"
    r"|aggregation_sets|(?:processed|failed)(?::\d{4}-\d\d-\d\d)?|(?:t|g|unique|cron):.*)",
    re.DOTALL,
)
_OF_ALL: Final = re.compile(
    r"asynq:(?:queues|servers|workers|schedulers|flows|(?:servers|workers|schedulers):\{.*\}|flow:\{.*\}.*"
    r"|scheduler_history:.*|sema:.*|limit:.*)",
    re.DOTALL,
)
_SETS: Final = ("scheduled", "retry", "archived", "completed")
_ENDS: Final = re.compile(r"unique:|cron:|(?:processed|failed):")
_OF_PROCESS: Final = re.compile(r"asynq:(?:(?:servers|workers|schedulers):\{|scheduler_history:)")


async def assert_conserved(redis: Redis, *, damaged: Set[tuple[str, str]] = frozenset()) -> None:
    """Check I1 … I9 on one server. `damaged`: queue and ID of tasks that are broken on purpose."""
    found = violations(await snapshot(redis), damaged=damaged)
    assert not found, "\n".join(found)


@dataclass(slots=True)
class _Queue:
    keys: dict[str, Entry] = field(default_factory=dict)

    def value(self, name: str, default: Any) -> Any:
        entry = self.keys.get(name)
        return default if entry is None else entry.value

    def under(self, prefix: str) -> Iterator[tuple[str, Any]]:
        for name, entry in self.keys.items():
            if name.startswith(prefix):
                yield name[len(prefix) :], entry.value


def violations(
    state: Snapshot, *, damaged: Set[tuple[str, str]] = frozenset(), counters_roll_over: bool = False
) -> list[str]:
    """Say what does not hold, a line each. `counters_roll_over`: I7 is then up to whoever made them do so."""
    found: list[str] = []
    queues: defaultdict[str, _Queue] = defaultdict(_Queue)
    for key, entry in state.items():
        match = _OF_QUEUE.fullmatch(key)
        if match is not None:
            queues[match["queue"]].keys[match["name"]] = entry
            if entry.ttl < 0 and _ENDS.match(match["name"]):
                found.append(f"I9 {key} never ends")
        elif not _OF_ALL.fullmatch(key):
            found.append(f"I8 {key} is no key of ours")
        elif entry.ttl < 0 and _OF_PROCESS.match(key):
            found.append(f"I9 {key} never ends")
    listed = state["asynq:queues"].value if "asynq:queues" in state else set()
    for name, queue in queues.items():
        exempt = {task_id.encode() for of, task_id in damaged if of == name}
        found += (f"{name}: {line}" for line in _of_queue(name, queue, exempt, counters_roll_over))
        tasks = {task_id.encode() for task_id, _ in queue.under("t:")}
        if tasks - exempt and name.encode() not in listed:
            found.append(f"I6 queue {name} is not listed")
    return found


def _of_queue(name: str, queue: _Queue, exempt: Set[bytes], counters_roll_over: bool) -> Iterator[str]:
    places = _places(queue)
    hashes = {task_id.encode(): value for task_id, value in queue.under("t:")}
    for task_id, where in places.items():
        if task_id not in exempt:
            yield from _of_task(name, task_id, where, hashes.get(task_id))
    for task_id in hashes.keys() - places.keys() - exempt:
        yield f"I3 {task_id!r} is nowhere: {hashes[task_id]}"
    unleased = (set(queue.value("active", ())) ^ set(queue.value("lease", ()))) - exempt
    if unleased:
        yield f"I4 {sorted(unleased)} are active without a lease, or the other way round"
    for lock, holder in queue.under("unique:"):
        if holder not in exempt:
            yield from _of_lock(f"asynq:{{{name}}}:unique:{lock}", holder, hashes.get(holder))
    processed, failed = int(queue.value("processed", 0)), int(queue.value("failed", 0))
    if failed > processed and not counters_roll_over:
        yield f"I7 {failed} failed of {processed} processed"


def _places(queue: _Queue) -> dict[bytes, list[str]]:
    places: defaultdict[bytes, list[str]] = defaultdict(list)
    for state in ("pending", "active", *_SETS):
        for task_id in queue.value(state, ()):
            places[task_id].append(state)
    for _, members in queue.under("g:"):
        for task_id in members:
            places[task_id].append("aggregating")
    return places


def _of_task(
    queue: str, task_id: bytes, where: list[str], fields: dict[bytes, bytes] | None
) -> Iterator[str]:
    if len(where) != 1:
        yield f"I1 {task_id!r} is in {where}"
    if fields is None or b"msg" not in fields:
        yield f"I2 {task_id!r} in {where} has no message"
        return
    if fields.get(b"state") != where[0].encode():
        yield f"I2 {task_id!r} in {where} says that it is {fields.get(b'state')!r}"
    try:
        message = TaskMessage.FromString(fields[b"msg"])
    except DecodeError:
        yield f"I2 {task_id!r} cannot be decoded"
        return
    if (message.id.encode(), message.queue) != (task_id, queue):
        yield f"I2 {task_id!r} has the message of {message.id!r} in {message.queue!r}"


def _of_lock(lock: str, holder: bytes, fields: dict[bytes, bytes] | None) -> Iterator[str]:
    if fields is None:
        yield f"I5 {lock} is held by {holder!r}, which is gone"
    elif fields.get(b"state") == b"completed":
        yield f"I5 {lock} is held by {holder!r}, which is completed"
    elif lock.encode() != fields.get(b"unique_key") and lock != _named_lock(fields.get(b"msg", b"")):
        yield f"I5 {lock} is held by {holder!r}, which names another or none"


def _named_lock(message: bytes) -> str:
    try:
        return TaskMessage.FromString(message).unique_key
    except DecodeError:
        return ""
