from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis

from asynq_py import (
    Inspector,
    InvalidOptionError,
    MessageDecodeError,
    QueueNotFoundError,
    TaskInfo,
    TaskState,
)
from tests.state import NOW, Kept, State, dump, kept, lease, seed, state

IDS = ["e", "d", "c", "b", "a"]  # not in the order of their names

Lister: TypeAlias = Callable[..., Awaitable[list[TaskInfo]]]


def there(name: str, ids: Sequence[str] = IDS) -> State:
    """Tasks of one state, first in its list first."""
    tasks = [kept(task_id, NOW + n, fields={"result": "r"}) for n, task_id in enumerate(ids)]
    given: dict[str, Any] = {"groups": {"g": tasks}} if name == "aggregating" else {name: tasks}
    found = state(**given)
    return {**found, "asynq:queues": {"q"}}


def lister(inspector: Inspector, name: str) -> Lister:
    methods: dict[str, Any] = {
        "pending": inspector.list_pending,
        "active": inspector.list_active,
        "scheduled": inspector.list_scheduled,
        "retry": inspector.list_retry,
        "archived": inspector.list_archived,
        "completed": inspector.list_completed,
        "aggregating": lambda queue, *page: inspector.list_aggregating(queue, "g", *page),
    }
    listed: Lister = methods[name]
    return listed


def group_of(name: str) -> str | None:
    return "g" if name == "aggregating" else None


@pytest.mark.parametrize("name", list(TaskState))
async def test_a_page_tells_the_tasks_of_a_state_in_its_order(
    inspector: Inspector, redis: Redis, name: str, small_steps: None
) -> None:
    await seed(redis, there(name))
    pages = [await lister(inspector, name)("q", page, 3) for page in (1, 2, 3)]

    assert [[task.id for task in page] for page in pages] == [["e", "d", "c"], ["b", "a"], []]
    assert {(task.state, task.result) for page in pages for task in page} == {(TaskState(name), b"r")}
    assert await dump(redis) == there(name)


async def test_the_next_time_is_now_for_pending_and_the_score_for_those_that_wait(
    inspector: Inspector, redis: Redis
) -> None:
    for name in TaskState:
        await redis.flushdb()
        await seed(redis, there(name, ["a"]))
        (task,) = await lister(inspector, name)("q")
        waits = name in ("pending", "scheduled", "retry")
        assert task.next_process_at == (datetime.fromtimestamp(NOW, UTC) if waits else None)


async def test_a_task_whose_lease_has_ended_is_orphaned(inspector: Inspector, redis: Redis) -> None:
    leased = [kept("a", lease(7, NOW - 1)), kept("b", lease(7)), kept("c", lease(7))]
    await seed(redis, state(active=leased))
    await redis.zrem("asynq:{q}:lease", "c")

    tasks = await inspector.list_active("q")

    assert [(task.id, task.is_orphaned) for task in tasks] == [("a", True), ("b", False), ("c", True)]


@pytest.mark.parametrize("text", [b"quack", b"\xff"])
async def test_a_task_in_no_state_is_told_to_be_garbled(
    inspector: Inspector, redis: Redis, text: bytes
) -> None:
    await seed(redis, state(pending=[kept("a")]))
    await redis.hset("asynq:{q}:t:a", "state", text)

    with pytest.raises(MessageDecodeError, match="task 'a' in queue 'q': its state is none"):
        await inspector.task_info("q", "a")


async def test_lost_tasks_are_left_out_and_garbled_ones_told(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, there("scheduled", ["a", "b", "c"]))
    await redis.delete("asynq:{q}:t:a")
    await redis.hset("asynq:{q}:t:b", "msg", b"\xff")
    await redis.set("asynq:{q}:t:d", "no hash")
    await redis.zadd("asynq:{q}:scheduled", {"d": NOW})

    tasks = await inspector.list_scheduled("q")

    assert [(task.id, task.type) for task in tasks] == [("b", "asynq:undecodable"), ("c", "t")]
    assert tasks[0].payload == b"\xff"


@pytest.mark.parametrize("name", list(TaskState))
async def test_an_iterator_tells_all_tasks_in_the_order_of_the_list(
    inspector: Inspector, redis: Redis, name: str, small_steps: None
) -> None:
    await seed(redis, there(name))

    told = [task.id async for task in inspector.tasks("q", name, group=group_of(name))]

    assert told == IDS
    assert await dump(redis) == there(name)


@pytest.mark.parametrize("name", ["pending", "scheduled"])
async def test_an_iterator_misses_nothing_when_tasks_leave_before_it(
    inspector: Inspector, redis: Redis, name: str, small_steps: None
) -> None:
    ids = [f"{n:02}" for n in range(20)]
    await seed(redis, there(name, ids))

    told = []
    async for task in inspector.tasks("q", name):
        told.append(task.id)
        if name == "pending":
            await redis.lrem("asynq:{q}:pending", 1, task.id)
        else:
            await redis.zrem("asynq:{q}:scheduled", task.id)

    assert told == ids


async def test_an_iterator_tells_nothing_twice_when_tasks_come_before_it(
    inspector: Inspector, redis: Redis, small_steps: None
) -> None:
    ids = [f"{n:02}" for n in range(20)]
    await seed(redis, there("scheduled", ids))

    told = []
    async for task in inspector.tasks("q", "scheduled"):
        told.append(task.id)
        await redis.zadd("asynq:{q}:scheduled", {f"new {task.id}": NOW - 1})

    assert told == ids


async def test_a_long_state_is_read_in_steps(inspector: Inspector, redis: Redis, small_steps: None) -> None:
    await seed(redis, there("archived", [f"{n:03}" for n in range(50)]))

    assert len([task async for task in inspector.tasks("q", TaskState.ARCHIVED)]) == 50
    assert len(await inspector.list_archived("q", size=50)) == 50


@pytest.mark.parametrize("page", [{"page": 0}, {"page": -1}, {"size": 0}, {"size": 10_001}, {"page": True}])
async def test_a_page_that_cannot_be_is_refused(inspector: Inspector, page: dict[str, int]) -> None:
    with pytest.raises(InvalidOptionError, match="a whole number from 1"):
        await inspector.list_pending("q", **page)


async def test_a_queue_that_is_not_there_is_told_apart_from_an_empty_one(
    inspector: Inspector, redis: Redis
) -> None:
    with pytest.raises(QueueNotFoundError):
        await inspector.list_pending("q")
    with pytest.raises(QueueNotFoundError):
        [task async for task in inspector.tasks("q", "pending")]
    await redis.sadd("asynq:queues", "q")
    assert await inspector.list_pending("q") == []
    assert [task async for task in inspector.tasks("q", "pending")] == []


@pytest.mark.parametrize(
    ("name", "group"), [("aggregating", None), ("pending", "g"), ("aggregating", " "), ("running", None)]
)
async def test_a_state_needs_a_group_or_has_none(inspector: Inspector, name: str, group: str | None) -> None:
    with pytest.raises(InvalidOptionError):
        [task async for task in inspector.tasks("q", name, group=group)]


async def test_an_id_that_is_not_text_is_told_all_the_same(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(archived=[Kept("a", NOW)]))
    await redis.zadd("asynq:{q}:archived", {b"\xff": NOW})
    await redis.hset(b"asynq:{q}:t:\xff", mapping={"msg": b"x", "state": "archived"})

    assert [task.id for task in await inspector.list_archived("q")] == ["a", "\N{REPLACEMENT CHARACTER}"]
