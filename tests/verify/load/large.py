"""How long the slowest script holds Redis up where queues are large."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from typing import Any, Final

from asynq_py import AsynqError, Inspector, Server
from asynq_py.broker.scripts import load
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import TaskMessage, encode
from tests.servers import plain_client
from tests.verify.report import Figure

PENDING: Final = 1_000_000
SCHEDULED: Final = 1_000_000
ARCHIVED: Final = 100_000
SLOW: Final = 1_000  # microseconds from which on Redis notes a command
WORK: Final = 20.0  # seconds
K: Final = QueueKeys("large")
NAMES: Final = (
    "enqueue", "dequeue", "done", "complete", "retry", "archive", "requeue", "forward", "recover", "strays",
    "expire", "list_tasks", "queue_counts", "memory", "run_all", "archive_all", "delete_all", "survey",
)  # fmt: skip


async def slowest(url: str) -> dict[str, Figure]:
    """Fill a queue, let a worker and an inspector work on it, and read what Redis found slow."""
    async with plain_client(url) as client:
        redis: Any = client
        await _fill(redis)
        await redis.config_set("slowlog-log-slower-than", SLOW)
        await redis.slowlog_reset()
        async with Server(url, _nothing, queues=["large"], concurrency=100), Inspector(url) as inspector:
            until = time.monotonic() + WORK
            while time.monotonic() < until:
                with suppress(AsynqError):
                    await inspector.queue_info("large")
                    await inspector.list_scheduled("large", page=10_000)
                    await inspector.list_archived("large", page=1_000)
                await asyncio.sleep(0.5)
        found = await redis.slowlog_get(1000)
        names = {load(name).sha.encode(): name for name in NAMES}
        worst: dict[str, int] = {}
        for entry in found:
            sha = re.match(rb"(?i)EVALSHA ([0-9a-f]{40})", entry["command"])
            if sha:
                name = names.get(sha[1], "another")
                worst[name] = max(worst.get(name, 0), int(entry["duration"]))
        await redis.flushall()
    if not worst:
        return {"slowest script on a large queue": f"below {SLOW / 1000:g} ms"}
    name = max(worst, key=lambda one: worst[one])
    return {"slowest script on a large queue": f"{name}, {worst[name] / 1000:.1f} ms"}


async def _nothing(task: object) -> None: ...


async def _fill(redis: Any) -> None:
    now = int(time.time())
    await redis.sadd("asynq:queues", "large")
    places = (("pending", PENDING, 0), ("scheduled", SCHEDULED, now + 86_400), ("archived", ARCHIVED, now))
    for state, count, score in places:
        for first in range(0, count, 5_000):
            ids = [f"{state}-{number}" for number in range(first, min(first + 5_000, count))]
            async with redis.pipeline(transaction=False) as pipe:
                for task_id in ids:
                    message = TaskMessage(type="t", id=task_id, queue="large", payload=b"x" * 100)
                    pipe.hset(K.task(task_id), mapping={"msg": encode(message), "state": state})
                if state == "pending":
                    pipe.lpush(K.pending, *ids)
                else:
                    pipe.zadd(K.prefix + state, {task_id: score + n for n, task_id in enumerate(ids, first)})
                await pipe.execute()
