"""Q-40: page 0 brought the last tasks, size 0 all of them, and two lists were not ordered as documented."""

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector, InvalidOptionError
from tests.state import NOW, kept, seed, state


@pytest.mark.parametrize("page", [{"page": 0}, {"size": 0}])
async def test_q40_a_page_or_size_of_zero_is_refused(
    inspector: Inspector, redis: Redis, page: dict[str, int]
) -> None:
    await seed(redis, state(archived=[kept("a", NOW)], registered=True))

    with pytest.raises(InvalidOptionError):
        await inspector.list_archived("q", **page)


async def test_q40_archived_and_completed_begin_with_what_is_forgotten_first(
    inspector: Inspector, redis: Redis
) -> None:
    await seed(
        redis,
        state(archived=[kept("b", 2), kept("a", 1)], completed=[kept("d", NOW + 2), kept("c", NOW + 1)]),
    )

    assert [task.id for task in await inspector.list_archived("q")] == ["a", "b"]
    assert [task.id for task in await inspector.list_completed("q")] == ["c", "d"]
