"""What stands in Redis about the tasks of one queue, told by their IDs; nothing else may stand there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis, RedisCluster

from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import TaskMessage
from tests.eventually import eventually

QUEUE = "default"


@dataclass(frozen=True)
class Books:
    """`pending`: next to run first. `active`: in the order of taking.

    `unleased`: active without a lease, or the other way round. `ghosts`: IDs in some list whose hash is gone.
    `strays`: hashes whose ID is in no list. `processed`, `failed`: of all time.
    """

    pending: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    scheduled: Set[str] = frozenset()
    retry: Set[str] = frozenset()
    archived: Set[str] = frozenset()
    completed: Set[str] = frozenset()
    processed: int = 0
    failed: int = 0
    unleased: Set[str] = frozenset()
    ghosts: Set[str] = frozenset()
    strays: Set[str] = frozenset()
    locks: int = 0


async def books(redis: Redis, queue: str = QUEUE) -> Books:
    """Read the books in one step."""
    k = QueueKeys(queue)
    sets = (k.lease, k.scheduled, k.retry, k.archived, k.completed)
    async with _node_of(redis, k.pending) as node, node.pipeline(transaction=True) as pipe:
        pipe.lrange(k.pending, 0, -1)
        pipe.lrange(k.active, 0, -1)
        for name in sets:
            pipe.zrange(name, 0, -1)
        pipe.mget(k.processed, k.failed)
        pipe.keys(k.task_prefix + "*")
        pipe.keys(k.prefix + "unique:*")
        (
            pending,
            active,
            lease,
            scheduled,
            retry,
            archived,
            completed,
            counts,
            stored,
            locks,
        ) = await pipe.execute()
    listed = {*pending, *active, *scheduled, *retry, *archived, *completed}
    hashes = {key.removeprefix(k.task_prefix.encode()) for key in stored}
    return Books(
        pending=tuple(_text(pending)[::-1]),
        active=tuple(_text(active)[::-1]),
        scheduled=set(_text(scheduled)),
        retry=set(_text(retry)),
        archived=set(_text(archived)),
        completed=set(_text(completed)),
        processed=int(counts[0] or 0),
        failed=int(counts[1] or 0),
        unleased=set(_text(set(active) ^ set(lease))),
        ghosts=set(_text(listed - hashes)),
        strays=set(_text(hashes - listed)),
        locks=len(locks),
    )


@asynccontextmanager
async def _node_of(redis: Redis, key: str) -> AsyncGenerator[Redis]:
    """The one server that has the key, and so the whole queue."""
    if not isinstance(redis, RedisCluster):
        yield redis
        return
    await redis.initialize()
    node = redis.get_node_from_key(key)
    assert node is not None
    async with Redis(host=node.host, port=int(node.port)) as client:
        yield client


async def books_become(redis: Redis, wanted: Books, queue: str = QUEUE, *, within: float = 20.0) -> None:
    await eventually(lambda: books(redis, queue), lambda seen: seen == wanted, within=within)


async def message(redis: Redis, task_id: str, queue: str = QUEUE) -> TaskMessage:
    """The message stored for a task."""
    data = await redis.hget(QueueKeys(queue).task(task_id), "msg")
    assert isinstance(data, bytes)
    return TaskMessage.FromString(data)


def _text(ids: list[bytes] | set[bytes]) -> list[str]:
    return [task_id.decode("utf-8", "surrogateescape") for task_id in ids]
