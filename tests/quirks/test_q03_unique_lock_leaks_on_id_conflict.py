"""Q-03: a task refused for its ID left its unique lock behind, so later ones were refused as duplicates."""

from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Task, TaskIDConflictError
from tests.state import dump


@pytest.mark.parametrize("kind", [{}, {"process_in": 60}, {"group": "g"}], ids=["now", "later", "group"])
async def test_q03_a_task_refused_for_its_id_leaves_no_lock(
    client: Client, redis: Redis, kind: dict[str, Any]
) -> None:
    await client.enqueue(Task("other"), queue="q", task_id="a")
    before = await dump(redis)

    with pytest.raises(TaskIDConflictError):
        await client.enqueue(Task("t"), queue="q", task_id="a", unique=60, **kind)

    assert await dump(redis) == before
    await client.enqueue(Task("t"), queue="q", task_id="b", unique=60, **kind)
