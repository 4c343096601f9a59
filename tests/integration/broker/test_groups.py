"""Aggregation sets: taken, read, finished, given back. Wire format 5.14."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import NewTask
from asynq_py.broker.groups import Aggregate, Finished, Groups, Member, Rules, TakenSet
from asynq_py.errors import BrokerError
from asynq_py.wire import limits
from tests.clock import ManualClock
from tests.state import NOW, NOW_NS, Kept, dump, kept, message_of, new, seed, state

IN_G = {"group": "g"}
LOCK = "asynq:{q}:unique:t:"
ANY = Rules(1)
PENDING = Aggregate(new("new"), "pending")


def member(task_id: str, at: float = NOW, *, group: str = "g", lock: str = "") -> Kept:
    return kept(
        task_id,
        at,
        group_key=group,
        fields={"group": group} | ({"unique_key": lock} if lock else {}),
    )


async def due(groups: Groups, rules: Rules) -> list[str]:
    return sorted([name async for name in groups.due_groups("q", rules)])


async def take(groups: Groups, rules: Rules = ANY, set_id: str = "s") -> TakenSet:
    taken = await groups.take_set("q", "g", rules, set_id=set_id)
    assert taken is not None
    return taken


# -- which groups are due -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (Rules(61), []),
        (Rules(60), ["old"]),
        (Rules(20), ["old"]),
        (Rules(10), ["mixed", "old"]),
        (Rules(1), ["mixed", "old"]),
        (Rules(100, delay=51), ["old"]),
        (Rules(100, delay=50), ["mixed", "old"]),
        (Rules(100, delay=49.2), ["mixed", "old"]),
        (Rules(100, size=4), []),
        (Rules(100, size=3), ["new"]),
        (Rules(100, delay=60, size=2), ["mixed", "new", "old"]),
    ],
)
async def test_a_group_is_due_by_size_delay_or_grace(
    groups: Groups, redis: Redis, rules: Rules, wanted: list[str]
) -> None:
    before = state(
        groups={
            "old": [member("a", NOW - 60)],
            "mixed": [member("b", NOW - 50), member("c", NOW - 10)],
            "new": [member(i, NOW) for i in "def"],
            "listed:only": [],
        }
    )
    await seed(redis, before)

    assert await due(groups, rules) == wanted
    assert await dump(redis) == before


async def test_of_very_many_groups_all_that_are_due_are_found(groups: Groups, redis: Redis) -> None:
    names = {f"g{n}" for n in range(1000)}
    await redis.sadd("asynq:{q}:groups", *names, "other", b"\xff")
    await redis.zadd("asynq:{q}:g:other", {"a": NOW})
    await redis.zadd(b"asynq:{q}:g:\xff", {"a": 0})
    for name in names:
        await redis.zadd(f"asynq:{{q}}:g:{name}", {"a": NOW - 5})

    assert set(await due(groups, Rules(5))) == names


async def test_a_key_of_another_type_hides_no_group_that_is_due(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(groups={"bad": [], "good": [member("a", NOW - 9)]}))
    await redis.set("asynq:{q}:g:bad", "not ours")

    assert await due(groups, Rules(1)) == ["good"]


# -- taking -------------------------------------------------------------------------------------------------


async def test_taking_moves_the_oldest_into_a_set_and_keeps_the_group_listed(
    groups: Groups, redis: Redis
) -> None:
    a, b, c = member("b", NOW - 9), member("a", NOW - 8), member("c", NOW - 8)
    await seed(redis, state(groups={"g": [c, a, b]}))

    taken = await groups.take_set("q", "g", Rules(100, size=2), set_id="s")

    assert taken == TakenSet("q", "g", "s", "asynq:{q}:g:g:s", int(NOW) + 120, 2)
    assert await dump(redis) == state(groups={"g": [c]}, taken={("g", "s"): [a, b]})


async def test_a_group_that_is_not_due_is_not_taken(groups: Groups, redis: Redis) -> None:
    await seed(redis, before := state(groups={"g": [member("a", NOW)]}))

    assert await groups.take_set("q", "g", Rules(1), set_id="s") is None
    assert await groups.take_set("q", "none", Rules(1), set_id="s") is None
    assert await dump(redis) == before


async def test_without_a_size_the_whole_group_is_taken_up_to_a_bound(
    groups: Groups, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_SET", 2)
    tasks = [member(i, NOW - 9) for i in "abc"]
    await seed(redis, state(groups={"g": tasks}))

    await take(groups, set_id="s")
    await take(groups, set_id="r")

    assert await dump(redis) == state(groups={"g": []}, taken={("g", "s"): tasks[:2], ("g", "r"): tasks[2:]})


async def test_of_many_who_take_at_once_one_gets_each_task(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9), member("b", NOW - 9)]}))

    takes = (groups.take_set("q", "g", Rules(1), set_id=f"s{n}") for n in range(10))
    taken = [found for found in await asyncio.gather(*takes) if found is not None]

    assert [found.size for found in taken] == [2]


@pytest.mark.parametrize("key", ["g:g:s", "aggregation_sets"])
async def test_taking_where_a_key_is_of_another_type_changes_nothing(
    groups: Groups, redis: Redis, key: str
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))
    await redis.set(f"asynq:{{q}}:{key}", "not ours")
    before = await dump(redis)

    with pytest.raises(BrokerError, match="WRONGTYPE"):
        await take(groups)
    assert await dump(redis) == before


# -- reading ------------------------------------------------------------------------------------------------


async def test_a_set_is_read_in_order_whatever_its_size(
    groups: Groups, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_LOOK", 2)
    tasks = [member(i, NOW - n) for n, i in enumerate("abcde")]
    await seed(redis, state(groups={"g": tasks}))
    taken = await take(groups, Rules(1, size=1)._replace(size=5))
    before = await dump(redis)

    found = await groups.read_set(taken)

    assert found == [Member(i.encode(), message_of(i, group_key="g")) for i in "edcba"]
    assert await dump(redis) == before


async def test_what_is_no_task_or_waits_elsewhere_is_read_as_nothing(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(groups={"g": [member(i, NOW - 9) for i in "abcd"]}))
    await redis.delete("asynq:{q}:t:a", "asynq:{q}:t:b")
    await redis.set("asynq:{q}:t:b", "not ours")
    await redis.hset("asynq:{q}:t:c", "state", "pending")

    found = await groups.read_set(await take(groups))

    assert [found.message != b"" for found in found] == [False, False, False, True]


async def test_a_task_set_aside_is_archived_and_leaves_the_set(groups: Groups, redis: Redis) -> None:
    a, b = member("a", NOW - 9), member("b", NOW - 9)
    await seed(redis, state(groups={"g": [a, b]}))
    taken = await take(groups)

    left = await groups.set_aside(taken, [Member(b"a", message_of("a")), Member(b"z", message_of("z"))])

    assert left == taken._replace(size=1)
    assert await dump(redis) == state(
        groups={"g": []}, taken={("g", "s"): [b]}, archived=[kept("a", NOW, fields=IN_G)]
    )


# -- finishing ----------------------------------------------------------------------------------------------


async def test_finishing_stores_the_aggregate_and_forgets_set_and_group(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(pending=[kept("z")], groups={"g": [member("a", NOW - 9), member("b", NOW - 9)]}))
    taken = await take(groups)

    assert await groups.finish_set(taken, PENDING, []) is Finished.YES

    assert await dump(redis) == state(pending=[kept("z"), kept("new", fields={"pending_since": NOW_NS})])


async def test_a_group_that_goes_on_stays_listed_when_one_of_its_sets_is_finished(
    groups: Groups, redis: Redis
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9), member("b", NOW)]}))
    taken = await take(groups, Rules(60, size=1))

    await groups.finish_set(taken, None, [])

    assert await dump(redis) == state(groups={"g": [member("b", NOW)]})


async def test_an_aggregate_may_wait_for_its_time_or_in_another_group(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9), member("b", NOW - 8)]}))

    scheduled = Aggregate(new("c"), "scheduled", int(NOW) + 5, "h")
    await groups.finish_set(await take(groups, Rules(1, size=1)), scheduled, [])
    await groups.finish_set(await take(groups), Aggregate(new("d"), "aggregating", int(NOW), "g"), [])

    assert await dump(redis) == state(
        scheduled=[kept("c", NOW + 5, fields={"group": "h"})],
        groups={"g": [kept("d", NOW, fields=IN_G)]},
    )


async def test_a_unique_aggregate_takes_its_lock(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))

    aggregate = Aggregate(new("c", lock=LOCK, lock_ms=60_000), "pending")
    await groups.finish_set(await take(groups), aggregate, [])

    fields = {"pending_since": NOW_NS, "unique_key": LOCK}
    task = kept("c", unique_key=LOCK, fields=fields)
    assert await dump(redis) == state(pending=[task], locks={LOCK: "c"})


async def test_an_aggregate_that_is_refused_changes_nothing(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(pending=[kept("new")], locks={LOCK: "z"}, groups={"g": [member("a", NOW - 9)]}))
    taken = await take(groups)
    before = await dump(redis)

    locked = Aggregate(new("c", lock=LOCK, lock_ms=60_000), "pending")
    assert await groups.finish_set(taken, locked, []) is Finished.LOCKED
    assert await groups.finish_set(taken, PENDING, []) is Finished.ID_IN_USE
    assert await dump(redis) == before


async def test_finishing_again_changes_nothing(groups: Groups, redis: Redis) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))
    taken = await take(groups)
    await groups.finish_set(taken, PENDING, [])
    before = await dump(redis)

    assert await groups.finish_set(taken, PENDING, []) is Finished.GONE
    assert await dump(redis) == before


async def test_a_set_of_which_a_part_is_back_in_its_group_is_not_finished(
    groups: Groups, redis: Redis, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9), member("b", NOW - 9)]}))
    taken = await take(groups)
    await redis.zrem(taken.key, "a")
    await redis.zadd("asynq:{q}:g:g", {"a": NOW - 9})
    before = await dump(redis)

    assert await groups.finish_set(taken, PENDING, []) is Finished.GONE
    assert await dump(redis) == before


async def test_a_member_that_is_gone_or_waits_elsewhere_is_only_taken_out(
    groups: Groups, redis: Redis
) -> None:
    await seed(redis, state(pending=[kept("c")], groups={"g": [member(i, NOW - 9) for i in "ab"]}))
    await redis.zadd("asynq:{q}:g:g", {"c": NOW - 9})
    await redis.delete("asynq:{q}:t:a", "asynq:{q}:t:b")
    await redis.set("asynq:{q}:t:b", "not ours")

    assert await groups.finish_set(await take(groups), None, []) is Finished.YES
    assert await dump(redis) == state(pending=[kept("c")]) | {"asynq:{q}:t:b": "not ours"}


async def test_finishing_works_for_the_largest_set(groups: Groups, redis: Redis) -> None:
    tasks = [member(f"{n:05}", NOW - 9) for n in range(limits.GROUP_SET_MAX)]
    await seed(redis, state(groups={"g": tasks}))
    taken = await take(groups, Rules(100, size=limits.GROUP_SET_MAX))
    locks = [(task.id.encode(), LOCK) for task in tasks]

    assert len(await groups.read_set(taken)) == limits.GROUP_SET_MAX
    assert await groups.finish_set(taken, PENDING, locks) is Finished.YES
    assert await dump(redis) == state(pending=[kept("new", fields={"pending_since": NOW_NS})])


@pytest.mark.parametrize("key", ["pending", "scheduled", "groups", "g:h"])
async def test_finishing_where_a_key_is_of_another_type_changes_nothing(
    groups: Groups, redis: Redis, key: str
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))
    taken = await take(groups)
    await redis.delete(f"asynq:{{q}}:{key}")
    await redis.hset(f"asynq:{{q}}:{key}", "not", "ours")
    before = await dump(redis)

    with pytest.raises(BrokerError, match="WRONGTYPE"):
        await groups.finish_set(taken, Aggregate(NewTask("c", b""), "aggregating", 1, "h"), [])
    assert await dump(redis) == before


# -- giving back --------------------------------------------------------------------------------------------


async def test_a_set_in_time_is_left_alone(groups: Groups, redis: Redis, clock: ManualClock) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))
    await take(groups)
    before = await dump(redis)
    clock.advance(119)

    assert await groups.reclaim_sets("q") == 0
    assert await dump(redis) == before


async def test_sets_whose_time_is_over_go_back_in_as_many_steps_as_it_takes(
    groups: Groups, redis: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECLAIM_BATCH", 2)
    before = state(groups={"g": [member(i, NOW - 9) for i in "abcde"]})
    await seed(redis, before)
    await take(groups, Rules(1, size=3), "s")
    await take(groups, Rules(1), "r")
    clock.advance(120)

    assert await groups.reclaim_sets("q") == 5
    assert await dump(redis) == before


async def test_a_set_given_up_goes_back_at_once_and_a_finished_one_does_not_return(
    groups: Groups, redis: Redis
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9), member("b", NOW - 8)]}))
    finished, left = await take(groups, Rules(1, size=1)), await take(groups, set_id="r")
    await groups.finish_set(finished, None, [])

    await groups.give_up(finished)
    await groups.give_up(left)

    assert await groups.reclaim_sets("q") == 1
    assert await dump(redis) == state(groups={"g": [member("b", NOW - 8)]})


async def test_a_group_name_with_colons_is_found_again(groups: Groups, redis: Redis) -> None:
    before = state(groups={"a:b:c": [member("a", NOW - 9, group="a:b:c")]})
    await seed(redis, before)
    taken = await groups.take_set("q", "a:b:c", Rules(1), set_id="s")
    assert taken is not None
    await groups.give_up(taken)

    await groups.reclaim_sets("q")

    assert await dump(redis) == before


async def test_bad_entries_among_the_sets_hold_up_no_others(
    groups: Groups, redis: Redis, clock: ManualClock
) -> None:
    good = member("a", NOW - 9)
    await seed(redis, state(taken={("g", "s"): [good], ("bad", "s"): [member("b", NOW - 9)]}))
    for entry in ("rubbish", "asynq:{q}:g:nothing:s", "asynq:{q}:g:text:s", "asynq:{q}:g:no-id"):
        await redis.zadd("asynq:{q}:aggregation_sets", {entry: 0})
    await redis.set("asynq:{q}:g:text:s", "not ours")
    await redis.set("asynq:{q}:g:bad", "not ours")
    await redis.zadd("asynq:{q}:g:g:s", {"ghost": 1})
    clock.advance(120)

    await groups.reclaim_sets("q")

    assert await dump(redis) == state(
        groups={"g": [good]}, taken={("bad", "s"): [member("b", NOW - 9)]}, taken_until=NOW + 240
    ) | {"asynq:{q}:g:text:s": "not ours", "asynq:{q}:g:bad": "not ours"}
