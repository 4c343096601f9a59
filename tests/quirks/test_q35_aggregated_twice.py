"""Q-35: a crash between storing the aggregate and forgetting its tasks aggregated them twice."""

from redis.asyncio import Redis

from asynq_py.broker.groups import Aggregate, Finished, Groups, Rules
from tests.clock import ManualClock
from tests.integration.broker.test_groups import member
from tests.state import NOW, NOW_NS, dump, kept, new, seed, state


async def test_q35_a_repeated_end_of_an_aggregation_stores_one_task(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9), member("b", NOW - 9)]}))
    taken = await groups.take_set("q", "g", Rules(1), set_id="s")
    assert taken
    aggregate = Aggregate(new("s"), "pending")

    assert await groups.finish_set(taken, aggregate, []) is Finished.YES
    assert await groups.finish_set(taken, aggregate, []) is Finished.GONE

    assert await dump(redis) == state(pending=[kept("s", fields={"pending_since": NOW_NS})])


async def test_q35_whoever_comes_too_late_stores_nothing(
    groups: Groups, redis: Redis, clock: ManualClock
) -> None:
    before = state(groups={"g": [member("a", NOW - 9)]})
    await seed(redis, before)
    late = await groups.take_set("q", "g", Rules(1), set_id="s")
    assert late
    clock.advance(120)
    await groups.reclaim_sets("q")

    assert await groups.finish_set(late, Aggregate(new("s"), "pending"), []) is Finished.GONE

    assert await dump(redis) == before
