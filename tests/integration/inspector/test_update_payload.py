import hashlib

import pytest
from redis.asyncio import Redis

from asynq_py import (
    AsynqError,
    DuplicateTaskError,
    Inspector,
    InvalidOptionError,
    QueueNotFoundError,
    TaskNotFoundError,
)
from tests.state import NOW, dump, kept, lease, seed, state


def lock(payload: bytes) -> str:
    return f"asynq:{{q}}:unique:t:{hashlib.md5(payload).hexdigest()}"


OLD, NEW = lock(b"old"), lock(b'{"n":1}')
UNIQUE = kept("a", NOW + 60, payload=b"old", retry=3, unique_key=OLD, fields={"unique_key": OLD})
CHANGED = kept("a", NOW + 60, payload=b'{"n":1}', retry=3, unique_key=NEW, fields={"unique_key": NEW})


async def test_a_scheduled_task_gets_its_new_payload_and_nothing_else(
    inspector: Inspector, redis: Redis
) -> None:
    await seed(redis, state(scheduled=[kept("a", NOW + 60, payload=b"old", headers={"h": "v"})]))

    await inspector.update_task_payload("q", "a", "new")

    assert await dump(redis) == state(scheduled=[kept("a", NOW + 60, payload=b"new", headers={"h": "v"})])


async def test_its_lock_moves_along_and_lasts_as_long(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(scheduled=[UNIQUE]))
    await redis.set(OLD, "a", px=500_000)

    await inspector.update_task_payload("q", "a", {"n": 1})

    assert await dump(redis) == state(scheduled=[CHANGED], locks={NEW: "a"})
    assert 400_000 < await redis.pttl(NEW) <= 500_000


async def test_a_lock_that_ended_is_not_taken_again(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(scheduled=[UNIQUE], locks={NEW: "other"}))

    await inspector.update_task_payload("q", "a", {"n": 1})

    assert await dump(redis) == state(scheduled=[CHANGED], locks={NEW: "other"})


async def test_a_payload_whose_lock_another_task_holds_is_refused(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(scheduled=[UNIQUE], locks={NEW: "other"}))
    await redis.set(OLD, "a", px=500_000)

    with pytest.raises(DuplicateTaskError):
        await inspector.update_task_payload("q", "a", {"n": 1})

    assert await dump(redis) == state(scheduled=[UNIQUE], locks={NEW: "other", OLD: "a"})


async def test_the_same_payload_again_keeps_the_lock(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(scheduled=[UNIQUE]))
    await redis.set(OLD, "a", px=500_000)

    await inspector.update_task_payload("q", "a", b"old")

    assert await dump(redis) == state(scheduled=[UNIQUE], locks={OLD: "a"})


async def test_no_payload_has_a_lock_of_its_own(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(scheduled=[UNIQUE]))
    await redis.set(OLD, "a", px=500_000)

    await inspector.update_task_payload("q", "a", None)

    assert await redis.get("asynq:{q}:unique:t:") == b"a"


@pytest.mark.parametrize(
    "there", [state(pending=[kept("a")]), state(active=[kept("a", lease(7))]), state(retry=[kept("a", NOW)])]
)
async def test_a_task_that_is_not_scheduled_keeps_its_payload(
    inspector: Inspector, redis: Redis, there: dict[str, object]
) -> None:
    await seed(redis, there)

    with pytest.raises(AsynqError, match="it is not scheduled"):
        await inspector.update_task_payload("q", "a", "new")

    assert await dump(redis) == there


async def test_a_task_that_is_not_there_is_told(inspector: Inspector, redis: Redis) -> None:
    with pytest.raises(QueueNotFoundError):
        await inspector.update_task_payload("q", "a", "new")
    await redis.sadd("asynq:queues", "q")
    with pytest.raises(TaskNotFoundError):
        await inspector.update_task_payload("q", "a", "new")


@pytest.mark.parametrize("payload", [object(), bytes(2**20 + 1)])
async def test_a_payload_that_cannot_be_is_refused(inspector: Inspector, payload: object) -> None:
    with pytest.raises(InvalidOptionError, match="payload"):
        await inspector.update_task_payload("q", "a", payload)
