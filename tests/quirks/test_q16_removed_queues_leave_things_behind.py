"""Q-16: a removed queue left completed tasks, groups, locks, its pause and its counters behind."""

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector, QueueNotEmptyError
from tests.state import NOW, dump, kept, seed, state

LOCK = "asynq:{q}:unique:t:"
FULL = state(
    scheduled=[kept("a", NOW, fields={"unique_key": LOCK})],
    completed=[kept("b", NOW)],
    groups={"g": [kept("c", NOW)]},
    locks={LOCK: "a"},
    processed=3,
    failed=1,
    registered=True,
)


async def test_q16_a_queue_deleted_by_force_leaves_nothing(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, FULL | {"asynq:{q}:paused": "1"})

    await inspector.delete_queue("q", force=True)

    assert await dump(redis) == {}


@pytest.mark.parametrize("there", [state(completed=[kept("b", NOW)]), state(groups={"g": [kept("c", NOW)]})])
async def test_q16_completed_tasks_and_groups_keep_a_queue(
    inspector: Inspector, redis: Redis, there: dict[str, object]
) -> None:
    await seed(redis, there | {"asynq:queues": {"q"}})

    with pytest.raises(QueueNotEmptyError):
        await inspector.delete_queue("q")
