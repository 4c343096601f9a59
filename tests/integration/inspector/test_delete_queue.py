from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector, QueueNotEmptyError, QueueNotFoundError
from asynq_py.broker.lane import Sender
from asynq_py.broker.removal import HOLD, Hold, few_tasks_at_once
from asynq_py.wire import limits
from tests.clock import ManualClock
from tests.lanes import lane_to
from tests.state import NOW, Hash, State, dump, kept, lease, seed, state

LOCKS = {f"asynq:{{q}}:unique:t:{task_id}": task_id for task_id in "abcdefg"}
A, B, C, D, E, F, G = (kept(i, NOW, fields={"unique_key": lock, "group": "g"}) for lock, i in LOCKS.items())
REMAINS: State = {
    "asynq:queues": {"q"},
    "asynq:{q}:processed": "3",
    "asynq:{q}:failed": "2",
    "asynq:{q}:processed:2099-12-01": "3",
    "asynq:{q}:failed:2099-12-01": "2",
    "asynq:{q}:paused": "1",
    "asynq:{q}:lease": {"gone": NOW},
    "asynq:{q}:groups": {"empty"},
}
BEING_AGGREGATED: State = {
    "asynq:{q}:aggregation_sets": {"asynq:{q}:g:x:y:set": NOW + 120},
    "asynq:{q}:g:x:y:set": {"z": NOW},
    "asynq:{q}:t:z": Hash(
        {"msg": {"type": "t", "id": "z", "queue": "q"}, "state": "aggregating", "group": "x:y"}
    ),
}
TASKS = [
    state(pending=[kept("a")]),
    state(scheduled=[kept("a", NOW)]),
    state(retry=[kept("a", NOW)]),
    state(archived=[kept("a", NOW)]),
    state(completed=[kept("a", NOW)]),
    state(groups={"g": [kept("a", NOW)]}),
    BEING_AGGREGATED,
]


@pytest.fixture
async def lane(redis_url: str) -> AsyncGenerator[Sender]:
    async with lane_to(redis_url) as lane:
        yield lane


@pytest.mark.parametrize("force", [False, True])
async def test_an_empty_queue_leaves_nothing_behind(inspector: Inspector, redis: Redis, force: bool) -> None:
    await seed(redis, REMAINS)

    await inspector.delete_queue("q", force=force)

    assert await dump(redis) == {}


@pytest.mark.parametrize("there", TASKS)
async def test_a_queue_with_tasks_stays_without_force(
    inspector: Inspector, redis: Redis, there: State
) -> None:
    await seed(redis, there | {"asynq:queues": {"q"}})

    with pytest.raises(QueueNotEmptyError, match="it has tasks"):
        await inspector.delete_queue("q")

    assert await dump(redis) == there | {"asynq:queues": {"q"}}


async def test_a_queue_with_tasks_leaves_nothing_behind_with_force(
    inspector: Inspector, redis: Redis, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_BATCH", 1)
    tasks = state(
        pending=[A], scheduled=[B], retry=[C], archived=[D], completed=[E], groups={"g": [F], "h": [G]},
        locks=LOCKS,
    )  # fmt: skip
    more = {"asynq:{q}:groups": {"empty", "g", "h"}}
    await seed(redis, REMAINS | BEING_AGGREGATED | tasks | more)
    other = state("other", pending=[kept("a")])
    await seed(redis, other)

    await inspector.delete_queue("q", force=True)

    assert await dump(redis) == other


async def test_running_tasks_keep_a_queue_with_all_its_tasks(inspector: Inspector, redis: Redis) -> None:
    there = state(active=[kept("a", lease(7))], pending=[kept("b")], registered=True)
    await seed(redis, there)

    with pytest.raises(QueueNotEmptyError, match="it has running tasks"):
        await inspector.delete_queue("q", force=True)

    assert await dump(redis) == there


async def test_a_pause_of_the_user_stays_when_a_queue_cannot_be_deleted(
    inspector: Inspector, redis: Redis
) -> None:
    there = state(active=[kept("a", lease(7))], registered=True) | {"asynq:{q}:paused": "1"}
    await seed(redis, there)

    with pytest.raises(QueueNotEmptyError):
        await inspector.delete_queue("q", force=True)

    assert await dump(redis) == there


async def test_a_queue_that_is_not_there_is_told(inspector: Inspector) -> None:
    with pytest.raises(QueueNotFoundError):
        await inspector.delete_queue("q", force=True)


def test_groups_are_emptied_together_as_long_as_their_tasks_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INSPECT_BATCH", 5)
    sizes = {"a": 2, "b": 3, "empty": 0, "c": 1, "large": 900, "d": 0, "e": 4}
    assert list(few_tasks_at_once(sizes)) == [["a", "b", "empty"], ["c"], ["large"], ["d", "e"]]
    assert list(few_tasks_at_once({})) == []


async def test_a_removal_that_takes_long_keeps_workers_away_all_the_time(
    redis: Redis, lane: Sender, clock: ManualClock
) -> None:
    hold = Hold(lane, clock, "asynq:{q}:paused")
    await hold.take()
    await redis.expire("asynq:{q}:paused", 5)

    await hold.renew()
    assert await redis.ttl("asynq:{q}:paused") <= 5
    clock.advance(HOLD / 2)
    await hold.renew()
    assert await redis.ttl("asynq:{q}:paused") > 5

    await hold.give_back()
    assert await dump(redis) == {}


async def test_a_removal_lets_a_pause_of_the_user_last(
    redis: Redis, lane: Sender, clock: ManualClock
) -> None:
    await redis.set("asynq:{q}:paused", 1)
    hold = Hold(lane, clock, "asynq:{q}:paused")
    await hold.take()
    clock.advance(HOLD)
    await hold.renew()
    await hold.give_back()
    assert await redis.ttl("asynq:{q}:paused") == -1
