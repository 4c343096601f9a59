"""Q-04: tasks of an aggregation that failed went back to a group that nobody listed any more."""

from redis.asyncio import Redis

from asynq_py.broker.groups import Groups, Rules
from tests.clock import ManualClock
from tests.integration.broker.test_groups import member
from tests.state import NOW, dump, seed, state


async def test_q04_tasks_that_go_back_to_their_group_list_it(
    groups: Groups, redis: Redis, clock: ManualClock
) -> None:
    task = member("a", NOW - 9)
    await seed(redis, state(taken={("g", "set of Go"): [task]}))  # Go has taken the group off the list
    clock.advance(120)

    await groups.reclaim_sets("q")

    assert await dump(redis) == state(groups={"g": [task]})


async def test_q04_a_group_whose_tasks_are_taken_stays_listed_in_case_go_gives_them_back(
    groups: Groups, redis: Redis
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))

    assert await groups.take_set("q", "g", Rules(1), set_id="s")

    assert await redis.smembers("asynq:{q}:groups") == {b"g"}
