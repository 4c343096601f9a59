from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from asynq_py import (
    AsynqError,
    BrokerUnavailableError,
    Inspector,
    InvalidOptionError,
    MessageDecodeError,
    QueueNotFoundError,
    TaskInfo,
    TaskNotFoundError,
    TaskState,
)
from tests.clock import ManualClock
from tests.proxy import Proxy
from tests.state import NOW, State, dump, kept, lease, seed, state

THEN = datetime.fromtimestamp(NOW, UTC)
LATER = datetime.fromtimestamp(NOW + 5, UTC)


@pytest.fixture
async def inspector(redis_url: str) -> AsyncGenerator[Inspector]:
    async with Inspector(redis_url, clock=ManualClock(NOW)) as inspector:
        yield inspector


async def test_queues_are_listed_by_name(inspector: Inspector, redis: Redis) -> None:
    assert await inspector.queues() == []
    await seed(redis, {"asynq:queues": {"low", "critical"}})

    assert await inspector.queues() == ["critical", "low"]


TASK = [kept("a", NOW + 5)]


@pytest.mark.parametrize(
    ("name", "there", "next_at"),
    [
        ("pending", state(pending=TASK), THEN),
        ("active", state(active=[kept("a", lease(7))]), None),
        ("scheduled", state(scheduled=TASK), LATER),
        ("retry", state(retry=TASK), LATER),
        ("archived", state(archived=TASK), None),
        ("completed", state(completed=TASK), None),
        ("aggregating", state(groups={"g": TASK}), None),
    ],
)
async def test_a_task_is_told_with_its_state_and_its_next_time(
    inspector: Inspector, redis: Redis, name: str, there: State, next_at: datetime | None
) -> None:
    await seed(redis, there)

    info = await inspector.task_info("q", "a")

    assert (info.state, info.next_process_at) == (TaskState(name), next_at)
    assert await dump(redis) == there


async def test_everything_that_is_known_of_a_task_is_told(inspector: Inspector, redis: Redis) -> None:
    task = kept(
        "a", NOW, payload=b"p", retry=3, retried=2, error_msg="boom", timeout=9, deadline=int(NOW),
        last_failed_at=int(NOW), retention=60, completed_at=int(NOW), group_key="g", headers={"h": "v"},
        fields={"result": b"r", "group": "g"},
    )  # fmt: skip
    await seed(redis, state(completed=[task]))

    assert await inspector.task_info("q", "a") == TaskInfo(
        id="a", queue="q", type="t", payload=b"p", headers={"h": "v"}, state=TaskState.COMPLETED, max_retry=3,
        retried=2, last_error="boom", last_failed_at=THEN, timeout=9, deadline=THEN, group="g",
        next_process_at=None, retention=60, completed_at=THEN, result=b"r",
    )  # fmt: skip


async def test_what_is_not_there_is_told_apart(inspector: Inspector, redis: Redis) -> None:
    with pytest.raises(QueueNotFoundError):
        await inspector.task_info("q", "a")
    await seed(redis, {"asynq:queues": {"q"}})
    with pytest.raises(TaskNotFoundError):
        await inspector.task_info("q", "a")
    await redis.hset("asynq:{q}:t:a", mapping={"msg": b"\xff", "state": "pending"})
    with pytest.raises(MessageDecodeError):
        await inspector.task_info("q", "a")
    with pytest.raises(InvalidOptionError):
        await inspector.task_info(" ", "a")


async def test_a_queue_is_paused_and_let_go_once(inspector: Inspector, redis: Redis) -> None:
    await inspector.pause_queue("q")
    assert await dump(redis) == {"asynq:{q}:paused": str(int(NOW))}
    with pytest.raises(AsynqError, match="already paused"):
        await inspector.pause_queue("q")

    await inspector.unpause_queue("q")
    assert await dump(redis) == {}
    with pytest.raises(AsynqError, match="not paused"):
        await inspector.unpause_queue("q")


async def test_a_wish_to_cancel_is_published_and_tells_whether_the_task_runs(
    inspector: Inspector, redis: Redis
) -> None:
    await seed(redis, {"asynq:queues": {"other", "q"}} | state(active=[kept("a", lease(7))]))
    async with redis.pubsub() as channel:
        await channel.subscribe("asynq:cancel")
        await channel.get_message(timeout=20)
        for task_id, is_running in (("a", True), ("nobody's", False)):
            assert await inspector.cancel_processing(task_id) is is_running
            message = await channel.get_message(timeout=20)
            assert message is not None
            assert message["data"] == task_id.encode()


async def test_an_absent_redis_is_told(proxy: Proxy) -> None:
    proxy.is_refusing = True
    async with Inspector(proxy.url) as inspector:
        with pytest.raises(BrokerUnavailableError):
            await inspector.queues()
