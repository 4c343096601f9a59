"""Q-19: a task in a set that is being aggregated could not be moved, and the error did not say why."""

import pytest
from redis.asyncio import Redis

from asynq_py import AsynqError, Inspector
from tests.state import NOW, Hash, State, dump, seed

BEING_AGGREGATED: State = {
    "asynq:queues": {"q"},
    "asynq:{q}:aggregation_sets": {"asynq:{q}:g:g:set": NOW + 120},
    "asynq:{q}:g:g:set": {"a": NOW},
    "asynq:{q}:t:a": Hash(
        {"msg": {"type": "t", "id": "a", "queue": "q"}, "state": "aggregating", "group": "g"}
    ),
}


@pytest.mark.parametrize("verb", ["run", "archive", "delete"])
async def test_q19_a_task_that_is_being_aggregated_is_left_alone_and_the_error_says_so(
    inspector: Inspector, redis: Redis, verb: str
) -> None:
    await seed(redis, BEING_AGGREGATED)
    move = {"run": inspector.run_task, "archive": inspector.archive_task, "delete": inspector.delete_task}

    with pytest.raises(AsynqError, match="just being aggregated"):
        await move[verb]("q", "a")

    assert await dump(redis) == BEING_AGGREGATED
