"""The whole of a Redis as one value, so that a test can say what is there before a call and after it.

`seed` writes such a value, `dump` reads one, `state` makes one from the tasks of a queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from google.protobuf.message import DecodeError
from redis.asyncio import Redis

from asynq_py.broker.broker import NewTask
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import TaskMessage, encode

# by key: text (string), list, set, dict of scores (sorted set), `Hash`
State: TypeAlias = dict[str, Any]

NOW: Final = 4102542245.0
"""A moment of 2100 for clocks that stand still: day counters end 90 days later by Redis' own clock, which
would make them vanish at once if that were in the past."""
NOW_NS: Final = 4102542245_000000000


class Hash(dict[str, Any]):
    """A hash. `msg` is the dict of the message's fields that are set, or bytes that are no message."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A task as Redis holds it. `score`: of its set. `message`, `fields`: what goes beyond type, ID, queue
    and state."""

    id: str
    score: float = 0.0
    message: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


def kept(
    task_id: str, score: float = 0.0, *, fields: Mapping[str, Any] | None = None, **message: Any
) -> Kept:
    return Kept(task_id, score, message, fields or {})


def lease(token: int, expires_at: float = NOW + 30) -> float:
    """The score of a lease with our token; token 0 is Go's."""
    return float(f"{int(expires_at)}.{token:06d}")


def new(task_id: str, *, queue: str = "q", lock: str = "", lock_ms: int = 0, **message: Any) -> NewTask:
    """What a client hands to the broker for the task that `state` calls kept(task_id)."""
    if lock:
        message["unique_key"] = lock
    return NewTask(task_id, message_of(task_id, queue=queue, **message), lock, lock_ms)


def message_of(task_id: str, *, queue: str = "q", **message: Any) -> bytes:
    return encode(TaskMessage(**_message(task_id, queue, message)))


def state(
    queue: str = "q",
    *,
    pending: Sequence[Kept] = (),
    active: Sequence[Kept] = (),
    scheduled: Sequence[Kept] = (),
    retry: Sequence[Kept] = (),
    archived: Sequence[Kept] = (),
    completed: Sequence[Kept] = (),
    groups: Mapping[str, Sequence[Kept]] | None = None,
    taken: Mapping[tuple[str, str], Sequence[Kept]] | None = None,
    taken_until: float = NOW + 120,
    locks: Mapping[str, str] | None = None,
    processed: int = 0,
    failed: int = 0,
    registered: bool = False,
) -> State:
    """All keys of one queue. `pending` is told next to run first, `active` in the order of taking.

    `groups`: by name; an empty one is only listed. `taken`: sets by group and set ID, whose deadline is
    `taken_until`. `processed`, `failed`: both of all time and of the day of NOW. `locks`: task ID by key.
    """
    k = QueueKeys(queue)
    found: State = dict(locks or {})
    if registered:
        found["asynq:queues"] = {queue}
    if pending:
        found[k.pending] = [task.id for task in reversed(pending)]
    if active:
        found[k.active] = [task.id for task in reversed(active)]
        found[k.lease] = {task.id: task.score for task in active}
    sets = {"scheduled": scheduled, "retry": retry, "archived": archived, "completed": completed}
    found |= {
        k.prefix + name: {task.id: task.score for task in tasks} for name, tasks in sets.items() if tasks
    }
    for name, members in (groups or {}).items():
        if members:
            found[k.group(name)] = {task.id: task.score for task in members}
        found.setdefault(k.groups, set()).add(name)
        sets[f"aggregating in {name}"] = members
    for (name, set_id), members in (taken or {}).items():
        key = k.aggregation_set(name, set_id)
        if members:
            found[key] = {task.id: task.score for task in members}
        found.setdefault(k.aggregation_sets, {})[key] = taken_until
        sets[f"aggregating from {key}"] = members
    for name, tasks in {"pending": pending, "active": active, **sets}.items():
        for task in tasks:
            found[k.task(task.id)] = _hash(task, queue, name.partition(" ")[0])
    day = datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%d")
    for name, count in (("processed", processed), ("failed", failed)):
        if count:
            found[k.prefix + name] = found[f"{k.prefix}{name}:{day}"] = str(count)
    return found


def _hash(task: Kept, queue: str, state_name: str) -> Hash:
    return Hash({"msg": _message(task.id, queue, task.message), "state": state_name, **task.fields})


def _message(task_id: str, queue: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "t", "id": task_id, "queue": queue, **more}


async def seed(redis: Redis, wanted: State) -> None:
    """Write a state into an empty Redis."""
    async with redis.pipeline(transaction=False) as pipe:  # a Cluster has no transaction over slots
        for key, value in wanted.items():
            match value:
                case Hash():
                    pipe.hset(key, mapping={name: _stored(part) for name, part in value.items()})
                case dict():
                    pipe.zadd(key, value)
                case list():
                    pipe.rpush(key, *value)
                case set():
                    pipe.sadd(key, *value)
                case _:
                    pipe.set(key, value)
        await pipe.execute()


def _stored(part: Any) -> Any:
    return encode(TaskMessage(**part)) if isinstance(part, dict) else part


async def dump(redis: Redis) -> State:
    """Read all that Redis holds."""
    keys = sorted([key async for key in redis.scan_iter("*", count=1000)])  # KEYS asks one node of a Cluster
    return {_text(key): await _value(redis, key) for key in keys}


async def _value(redis: Any, key: bytes | str) -> Any:
    match await redis.type(key):
        case b"string":
            return _text(await redis.get(key))
        case b"list":
            return [_text(item) for item in await redis.lrange(key, 0, -1)]
        case b"set":
            return {_text(item) for item in await redis.smembers(key)}
        case b"zset":
            return {_text(item): score for item, score in await redis.zrange(key, 0, -1, withscores=True)}
        case b"hash":
            fields = {_text(name): part for name, part in (await redis.hgetall(key)).items()}
            return Hash({name: _part(name, part) for name, part in fields.items()})
        case other:
            raise AssertionError(f"{key!r} is a {other!r}")


def _part(name: str, data: bytes) -> Any:
    if name == "msg":
        return _fields_of(data)
    return int(data) if data.isdigit() else _text(data)


def _text(data: Any) -> Any:
    """Text where it is some, else the bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _fields_of(data: bytes) -> dict[str, Any] | bytes:
    try:
        message = TaskMessage.FromString(data)
    except DecodeError:
        return data
    fields = {descriptor.name: value for descriptor, value in message.ListFields()}
    if "headers" in fields:
        fields["headers"] = dict(fields["headers"])
    return fields
