"""Q-17: a completed task that was run again went on telling when it was completed."""

from datetime import UTC, datetime

from redis.asyncio import Redis

from asynq_py import Inspector, TaskState
from tests.state import NOW, dump, kept, seed, state

LOCK = "asynq:{q}:unique:t:"
DONE = kept("a", NOW + 60, completed_at=int(NOW), unique_key=LOCK, fields={"unique_key": LOCK})


async def test_q17_a_completed_task_can_be_run_again_and_takes_no_lock(
    inspector: Inspector, redis: Redis
) -> None:
    await seed(redis, state(completed=[DONE], registered=True))
    assert (await inspector.task_info("q", "a")).completed_at == datetime.fromtimestamp(NOW, UTC)

    await inspector.run_task("q", "a")

    info = await inspector.task_info("q", "a")
    assert (info.state, info.completed_at) == (TaskState.PENDING, None)
    assert LOCK not in await dump(redis)


async def test_q17_a_completed_task_can_be_archived(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(completed=[DONE], registered=True))

    await inspector.archive_task("q", "a")

    (info,) = await inspector.list_archived("q")
    assert (info.id, info.completed_at) == ("a", None)
