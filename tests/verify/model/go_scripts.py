"""The transitions of asynq (Go), by its own Lua: read from the sources of its module where Go is, never kept.

Only what a worker or client of Go does where nothing is damaged; where its scripts leave more behind than
ours (the Q-nn of docs/with-go.md), whoever calls them has to look first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from asynq_py.broker.lane import Argument, Sender
from asynq_py.broker.scripts import Script
from asynq_py.wire.keys import QueueKeys
from tests.interop.build import NEWEST, NoPeerError, module_folder
from tests.verify.model.queue_model import Limits

_SCRIPT: Final = re.compile(r"var (\w+)Cmd = redis\.NewScript\(`(.*?)`\)", re.DOTALL)


@cache
def go_scripts() -> Mapping[str, Script]:
    """By the name of Go's variable without "Cmd". Raises: NoPeerError: this machine does not have them."""
    source = Path(module_folder(NEWEST), "internal", "rdb", "rdb.go").read_text("utf-8")
    found = {name: _script(name, body) for name, body in _SCRIPT.findall(source)}
    if "dequeue" not in found:
        raise NoPeerError("there are no scripts in asynq's rdb.go where they are looked for")
    return found


def _script(name: str, body: str) -> Script:
    return Script(name, body, hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest())


class GoQueue:
    """One queue, as Go's broker works on it. Times: unix seconds; `now_ns`: nanoseconds."""

    def __init__(self, lane: Sender, queue: str, limits: Limits) -> None:
        self._lane = lane
        self._keys = QueueKeys(queue)
        self._limits = limits
        self._scripts = go_scripts()

    async def enqueue(self, task_id: str, message: bytes, now_ns: int) -> int:
        k = self._keys
        await self._lane.call("SADD", "asynq:queues", k.queue)
        return int(await self._run("enqueue", [k.task(task_id), k.pending], message, task_id, now_ns))

    async def enqueue_unique(self, task_id: str, message: bytes, lock: str, ttl: int, now_ns: int) -> int:
        k = self._keys
        await self._lane.call("SADD", "asynq:queues", k.queue)
        script_keys = [lock, k.task(task_id), k.pending]
        return int(await self._run("enqueueUnique", script_keys, task_id, ttl, message, now_ns))

    async def schedule(self, task_id: str, message: bytes, at: int) -> int:
        k = self._keys
        await self._lane.call("SADD", "asynq:queues", k.queue)
        return int(await self._run("schedule", [k.task(task_id), k.scheduled], message, at, task_id))

    async def dequeue(self, expires_at: int) -> bytes | None:
        k = self._keys
        script_keys = [k.pending, k.paused, k.active, k.lease]
        message: bytes | None = await self._run("dequeue", script_keys, expires_at, k.task_prefix)
        return message

    async def done(self, task_id: str, lock: str, now: int) -> None:
        k = self._keys
        script_keys = [k.active, k.lease, k.task(task_id), k.processed_on(now), k.processed]
        name = "doneUnique" if lock else "done"
        await self._run(name, [*script_keys, *([lock] if lock else [])], task_id, *self._counting(now))

    async def complete(self, task_id: str, lock: str, message: bytes, ends_at: int, now: int) -> None:
        k = self._keys
        script_keys = [
            *(k.active, k.lease, k.completed, k.task(task_id), k.processed_on(now), k.processed),
            *([lock] if lock else []),
        ]
        name = "markAsCompleteUnique" if lock else "markAsComplete"
        day_ends_at, highest = self._counting(now)
        await self._run(name, script_keys, task_id, day_ends_at, ends_at, message, highest)

    async def retry(self, task_id: str, message: bytes, at: int, is_failure: bool, now: int) -> None:
        k = self._keys
        script_keys = [
            *(k.task(task_id), k.active, k.lease, k.retry, k.processed_on(now), k.failed_on(now)),
            *(k.processed, k.failed),
        ]
        day_ends_at, highest = self._counting(now)
        await self._run("retry", script_keys, task_id, message, at, day_ends_at, int(is_failure), highest)

    async def archive(self, task_id: str, message: bytes, now: int) -> None:
        k = self._keys
        script_keys = [
            *(k.task(task_id), k.active, k.lease, k.archived, k.processed_on(now), k.failed_on(now)),
            *(k.processed, k.failed, k.task_prefix),
        ]
        cutoff, (day_ends_at, highest) = now - self._limits.archive_age, self._counting(now)
        bounds = (now, cutoff, self._limits.archive_size, day_ends_at, highest)
        await self._run("archive", script_keys, task_id, message, *bounds)

    async def requeue(self, task_id: str) -> None:
        k = self._keys
        await self._run("requeue", [k.active, k.lease, k.pending, k.task(task_id)], task_id)

    async def forward(self, state: str, now: int, now_ns: int) -> int:
        k = self._keys
        arguments = (now, k.task_prefix, now_ns, k.group_prefix)
        return int(await self._run("forward", [k.prefix + state, k.pending], *arguments))

    async def expired_leases(self, ended_by: int) -> list[bytes]:
        k = self._keys
        return list(await self._run("listLeaseExpired", [k.lease], ended_by, k.task_prefix))

    async def expire(self, now: int, batch: int) -> int:
        k = self._keys
        return int(await self._run("deleteExpiredCompletedTasks", [k.completed], now, k.task_prefix, batch))

    def _counting(self, now: int) -> tuple[int, int]:
        return now + self._limits.statistics_ttl, self._limits.max_int64

    async def _run(self, name: str, script_keys: list[str], *arguments: Argument) -> Any:
        return await self._lane.post(self._scripts[name](script_keys, arguments))
