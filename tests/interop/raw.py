"""What Redis holds, as bytes: redis-py's types allow for text as well, which our clients never ask for."""

from __future__ import annotations

from redis.asyncio import Redis

from asynq_py.wire.keys import QueueKeys


async def message_bytes(redis: Redis, task_id: str, queue: str = "default") -> bytes:
    return await field_bytes(redis, QueueKeys(queue).task(task_id), "msg")


async def field_bytes(redis: Redis, key: str, field: str) -> bytes:
    data = await redis.hget(key, field)
    assert isinstance(data, bytes)
    return data


async def value_bytes(redis: Redis, key: str) -> bytes:
    data = await redis.get(key)
    assert isinstance(data, bytes)
    return data


async def keys(redis: Redis, pattern: str) -> list[str]:
    # not KEYS, which asks one node of a Cluster only
    return [key if isinstance(key, str) else key.decode() async for key in redis.scan_iter(pattern)]


async def lease(redis: Redis, task_id: str, queue: str = "default") -> float:
    """The score of a task's lease; 0 where it has none."""
    return await redis.zscore(QueueKeys(queue).lease, task_id) or 0.0
