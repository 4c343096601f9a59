import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, StoredTask
from tests.state import NOW, State, dump, kept, lease, message_of, seed, state

TASK = [kept("a", NOW + 5, retried=1)]


@pytest.mark.parametrize(
    ("name", "there", "score"),
    [
        ("pending", state(pending=TASK), None),
        ("active", state(active=[kept("a", lease(7), retried=1)]), None),
        ("scheduled", state(scheduled=TASK), NOW + 5),
        ("retry", state(retry=TASK), NOW + 5),
        ("archived", state(archived=TASK), None),
        ("completed", state(completed=TASK), None),
        ("aggregating", state(groups={"g": TASK}), None),
    ],
)
async def test_a_task_is_told_with_its_state_and_the_time_it_waits_for(
    broker: Broker, redis: Redis, name: str, there: State, score: float | None
) -> None:
    await seed(redis, there)

    assert await broker.task("q", "a") == StoredTask(message_of("a", retried=1), name, score, None)
    assert await dump(redis) == there


async def test_a_result_is_told(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(completed=[kept("a", NOW, fields={"result": b"\xff"})]))

    found = await broker.task("q", "a")

    assert found is not None
    assert found.result == b"\xff"


async def test_no_task_is_none(broker: Broker, redis: Redis) -> None:
    await redis.hset("asynq:{q}:t:half", "result", "left over")

    assert await broker.task("q", "a") is None
    assert await broker.task("q", "half") is None
