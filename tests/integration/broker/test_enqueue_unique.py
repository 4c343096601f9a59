from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Held, Stored
from tests.state import NOW, NOW_NS, State, dump, kept, lease, new, seed, state

LOCK = "asynq:{q}:unique:t:key"
SINCE = {"pending_since": NOW_NS}
OF_LOCK = {"unique_key": LOCK, "unique_ms": 60_000}

STATES: dict[str, dict[str, Any]] = {
    "pending": {"pending": [kept("old")]},
    "active": {"active": [kept("old", lease(7))]},
    "scheduled": {"scheduled": [kept("old", NOW + 60)]},
    "retry": {"retry": [kept("old", NOW + 60)]},
    "archived": {"archived": [kept("old", NOW)]},
    "completed": {"completed": [kept("old", NOW + 60)]},
    "aggregating": {"groups": {"g": [kept("old", NOW, fields={"group": "g"})]}},
    "gone": {},
}
# in which states a task keeps its like off, by rule
KEEPS_OFF = {
    "start": {"pending", "scheduled", "aggregating"},
    "success": {"pending", "scheduled", "aggregating", "active", "retry", "archived"},
    "end": {"pending", "scheduled", "aggregating", "active", "retry"},
    "ttl": set(STATES),
}
CASES = [(until, name) for until in KEEPS_OFF for name in STATES]


async def put(broker: Broker, task_id: str = "new", *, until: str = "success", **more: Any) -> object:
    given: dict[str, Any] = {"state": "pending", "score": 0, "group": "", "replaces": False, **more}
    task = new(task_id, lock=LOCK, lock_ms=60_000)
    return await broker.enqueue_unique("q", task, until=until, **given)


def there(name: str) -> State:
    return state(**STATES[name], locks={LOCK: "old"}, registered=True)


def stored(until: str, locks: str = "new", **places: Any) -> State:
    fields = {
        **SINCE,
        **({} if until == "ttl" else {"unique_key": LOCK}),
        **({"unique_ms": 60_000} if until in ("success", "end") else {}),
    }
    places.setdefault("pending", [])
    places["pending"] = [*places["pending"], kept("new", unique_key=LOCK, fields=fields)]
    return state(**places, locks={LOCK: locks}, registered=True)


@pytest.mark.parametrize("until", KEEPS_OFF)
async def test_the_first_takes_the_lock_for_its_time(broker: Broker, redis: Redis, until: str) -> None:
    assert await put(broker, until=until) == Stored.YES

    assert await dump(redis) == stored(until)
    assert 59_000 < await redis.pttl(LOCK) <= 60_000


@pytest.mark.parametrize(("until", "name"), CASES)
async def test_the_state_of_the_other_and_the_rule_decide(
    broker: Broker, redis: Redis, until: str, name: str
) -> None:
    await seed(redis, there(name))

    answer = await put(broker, until=until)

    if name in KEEPS_OFF[until]:
        assert answer == Held("old", name != "gone")
        assert await dump(redis) == there(name)
    else:
        assert answer == Stored.YES
        assert await dump(redis) == stored(until, **STATES[name])


@pytest.mark.parametrize(("until", "name"), CASES)
async def test_the_place_of_one_that_waits_can_be_taken(
    broker: Broker, redis: Redis, until: str, name: str
) -> None:
    await seed(redis, there(name))

    answer = await put(broker, until=until, replaces=True)

    if name not in KEEPS_OFF[until]:
        assert await dump(redis) == stored(until, **STATES[name])
    elif name in ("active", "completed", "gone") or (until, name) == ("ttl", "archived"):
        assert answer == Held("old", name != "gone")
        assert await dump(redis) == there(name)
    else:
        assert answer == Stored.YES
        assert await dump(redis) == stored(until)


async def test_of_a_group_only_the_other_goes(broker: Broker, redis: Redis) -> None:
    members = [kept(name, NOW, fields={"group": "g"}) for name in ("old", "b")]
    await seed(redis, state(groups={"g": members}, locks={LOCK: "old"}, registered=True))

    assert await put(broker, replaces=True) == Stored.YES

    assert await dump(redis) == stored("success", groups={"g": members[1:]})


async def test_one_that_is_just_being_aggregated_or_is_lost_is_not_replaced(
    broker: Broker, redis: Redis
) -> None:
    before = state(
        taken={("g", "1"): [kept("old", fields={"group": "g"})]}, locks={LOCK: "old"}, registered=True
    )
    await seed(redis, before)

    assert await put(broker, replaces=True) == Held("old", True)

    assert await dump(redis) == before


async def test_one_that_is_not_where_it_says_is_not_replaced(broker: Broker, redis: Redis) -> None:
    before = there("pending")
    del before["asynq:{q}:pending"]
    await seed(redis, before)

    assert await put(broker, replaces=True) == Held("old", True)

    assert await dump(redis) == before


async def test_tasks_for_later_and_for_groups_stand_where_others_do(broker: Broker, redis: Redis) -> None:
    assert await put(broker, state="scheduled", score=int(NOW) + 5) == Stored.YES
    assert await dump(redis) == state(
        scheduled=[kept("new", NOW + 5, unique_key=LOCK, fields=OF_LOCK)],
        locks={LOCK: "new"},
        registered=True,
    )

    assert await put(broker, "n2", replaces=True, state="aggregating", score=int(NOW), group="g")
    assert await dump(redis) == state(
        groups={"g": [kept("n2", NOW, unique_key=LOCK, fields={**OF_LOCK, "group": "g"})]},
        locks={LOCK: "n2"},
        registered=True,
    )


async def test_an_id_in_use_is_refused_and_replaces_nothing(broker: Broker, redis: Redis) -> None:
    before = there("pending")
    await seed(redis, before)

    assert await put(broker, "old", replaces=True) == Stored.ID_IN_USE

    assert await dump(redis) == before


async def test_a_request_whose_answer_was_lost_is_known_again(broker: Broker, redis: Redis) -> None:
    await seed(redis, there("retry"))
    assert await put(broker, replaces=True) == Stored.YES
    before = await dump(redis)

    assert await put(broker, replaces=True, repeated=True) == Stored.YES
    assert await put(broker, replaces=True) == Stored.ID_IN_USE

    assert await dump(redis) == before


async def test_a_key_of_another_type_where_the_other_should_be_keeps_nobody_off(
    broker: Broker, redis: Redis
) -> None:
    await seed(redis, {LOCK: "old", "asynq:{q}:t:old": ["a list"]})

    assert await put(broker, replaces=True) == Stored.YES

    assert (await dump(redis))["asynq:{q}:t:old"] == ["a list"]
