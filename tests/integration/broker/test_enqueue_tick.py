from collections.abc import AsyncGenerator
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import NewTask
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.ticks import Taken, Tick, Ticks
from asynq_py.connection import Connector
from asynq_py.wire.state import TaskState
from tests.clock import ManualClock
from tests.state import NOW, NOW_NS, dump, new

AT = int(NOW)
CLAIM = "asynq:{q}:cron:e"


@pytest.fixture
async def ticks(redis_url: str, clock: ManualClock) -> AsyncGenerator[Ticks]:
    connector = Connector(redis_url)
    lane = open_lane(connector, role="test")
    yield Ticks(lane, clock)
    await lane.aclose()
    await connector.aclose()


async def put(
    ticks: Ticks,
    at: int,
    task: NewTask,
    *,
    token: str = "t",
    spacing: int = 0,
    state: TaskState = TaskState.PENDING,
    group: str = "",
    until: str = "",
) -> tuple[Taken, int]:
    tick = Tick("e", at, spacing, token)
    return await ticks.enqueue_tick("q", tick, task, state=state, process_at=at + 9, group=group, until=until)


async def test_the_first_one_stores_the_task_and_takes_the_time(ticks: Ticks, redis: Redis) -> None:
    assert await put(ticks, AT, new("a")) == (Taken.STORED, AT)

    assert (await redis.smembers("asynq:queues"), await redis.lrange("asynq:{q}:pending", 0, -1)) == (
        {b"q"},
        [b"a"],
    )
    assert await redis.hgetall("asynq:{q}:t:a") == {
        b"msg": new("a").message,
        b"state": b"pending",
        b"pending_since": str(NOW_NS).encode(),
    }
    assert await ticks.last("q", "e") == AT
    assert await redis.ttl(CLAIM) > 89 * 86400


async def test_of_one_time_only_one_task_is_stored_and_none_of_an_earlier(ticks: Ticks, redis: Redis) -> None:
    await put(ticks, AT, new("a"), token="one")
    before = await dump(redis)

    assert await put(ticks, AT, new("b"), token="two") == (Taken.BY_ANOTHER, AT)
    assert await put(ticks, AT - 60, new("b"), token="two") == (Taken.BY_ANOTHER, AT)

    assert await dump(redis) == before
    assert await put(ticks, AT + 1, new("b"), token="two") == (Taken.STORED, AT + 1)


async def test_of_a_delay_no_task_is_stored_before_it_is_over(ticks: Ticks) -> None:
    await put(ticks, AT, new("a"), token="one", spacing=30)

    assert await put(ticks, AT + 29, new("b"), token="two", spacing=30) == (Taken.BY_ANOTHER, AT)
    assert await put(ticks, AT + 30, new("b"), token="two", spacing=30) == (Taken.STORED, AT + 30)


async def test_a_request_that_is_repeated_has_the_same_answer_though_its_task_is_gone(
    ticks: Ticks, redis: Redis
) -> None:
    await put(ticks, AT, new("a"))
    await redis.delete("asynq:{q}:t:a", "asynq:{q}:pending")

    assert await put(ticks, AT, new("a")) == (Taken.STORED, AT)

    assert not await redis.exists("asynq:{q}:t:a", "asynq:{q}:pending")


async def test_a_refused_task_takes_its_time_too(ticks: Ticks, redis: Redis) -> None:
    await put(ticks, AT, new("a"), token="one")
    await redis.set("lock{q}", "z")

    assert await put(ticks, AT + 1, new("a"), token="two") == (Taken.ID_IN_USE, AT + 1)
    assert await put(ticks, AT + 2, new("b", lock="lock{q}", lock_ms=9), token="three") == (
        Taken.LOCKED,
        AT + 2,
    )
    assert await put(ticks, AT + 2, new("c"), token="four") == (Taken.BY_ANOTHER, AT + 2)
    assert await put(ticks, AT + 2, new("b"), token="three") == (Taken.LOCKED, AT + 2)


async def test_a_task_may_wait_for_its_time_or_in_a_group(ticks: Ticks, redis: Redis) -> None:
    await put(ticks, AT, new("a", lock="lock{q}", lock_ms=5000), state=TaskState.SCHEDULED, group="g")
    await put(ticks, AT + 1, new("b"), state=TaskState.AGGREGATING, group="g")

    assert await redis.zrange("asynq:{q}:scheduled", 0, -1, withscores=True) == [(b"a", AT + 9)]
    assert await redis.hmget("asynq:{q}:t:a", ["state", "group", "unique_key"]) == [
        *(b"scheduled", b"g", b"lock{q}"),
    ]
    assert await redis.get("lock{q}") == b"a"
    assert await redis.zrange("asynq:{q}:g:g", 0, -1, withscores=True) == [(b"b", AT + 10)]
    assert await redis.smembers("asynq:{q}:groups") == {b"g"}
    assert await redis.hmget("asynq:{q}:t:b", ["state", "group"]) == [b"aggregating", b"g"]


async def test_what_was_never_due_has_no_last_time(ticks: Ticks) -> None:
    assert await ticks.last("q", "e") is None


LOCK = "asynq:{q}:unique:t:"


@pytest.mark.parametrize(
    ("until", "state", "answer"),
    [
        ("", "archived", Taken.LOCKED),
        ("success", "archived", Taken.LOCKED),
        ("end", "archived", Taken.STORED),
        ("end", "active", Taken.LOCKED),
        ("start", "active", Taken.STORED),
        ("start", "pending", Taken.LOCKED),
        ("ttl", "archived", Taken.LOCKED),
        ("", None, Taken.LOCKED),
        ("success", None, Taken.STORED),
        ("ttl", None, Taken.LOCKED),
    ],
)
async def test_by_its_rule_the_state_of_the_other_decides_whether_that_keeps_it_off(
    ticks: Ticks, redis: Redis, until: str, state: str | None, answer: Taken
) -> None:
    await redis.set(LOCK, "old")
    if state is not None:
        await redis.hset("asynq:{q}:t:old", mapping={"msg": new("old").message, "state": state})

    assert await put(ticks, AT, new("a", lock=LOCK, lock_ms=60_000), until=until) == (answer, AT)

    assert await redis.get(LOCK) == (b"a" if answer is Taken.STORED else b"old")
    if answer is Taken.STORED:
        assert 59_000 < await redis.pttl(LOCK) <= 60_000


@pytest.mark.parametrize(
    ("until", "fields"),
    [
        ("", {b"unique_key"}),
        ("start", {b"unique_key"}),
        ("success", {b"unique_key", b"unique_ms"}),
        ("end", {b"unique_key", b"unique_ms"}),
        ("ttl", set[bytes]()),
    ],
)
async def test_a_task_keeps_what_its_rule_needs(
    ticks: Ticks, redis: Redis, until: str, fields: set[bytes]
) -> None:
    await put(ticks, AT, new("a", lock=LOCK, lock_ms=60_000), until=until)

    found: list[Any] = await redis.hkeys("asynq:{q}:t:a")
    assert {name for name in found if name.startswith(b"unique")} == fields
