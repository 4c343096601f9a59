"""What can be out of order in the data: each kind is found and mended, and nothing else is touched."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from asynq_py.broker.survey import Fault
from asynq_py.doctor import Doctor, Level
from asynq_py.wire.messages import TaskMessage, WorkerInfo, encode
from tests.state import NOW, NOW_NS, Hash, Kept, State, dump, kept, lease, seed, state

LOCK = "asynq:{q}:unique:t:d41d8cd98f00b204e9800998ecf8427e"
SERVER = "asynq:servers:{h:1:a}"


def healthy() -> State:
    """A queue with tasks in every state, all of them in order."""
    return state(
        pending=[kept("p1"), kept("p2", unique_key=LOCK, fields={"unique_key": LOCK})],
        active=[kept("a1", lease(7)), kept("a2", lease(8, NOW - 100))],
        scheduled=[kept("s", NOW + 60)],
        retry=[kept("r", NOW + 60)],
        archived=[kept("x", NOW - 60)],
        completed=[kept("c", NOW + 60)],
        groups={"g": [kept("g1", NOW, fields={"group": "g"})]},
        taken={("g", "set"): [kept("g2", NOW, fields={"group": "g"})]},
        locks={LOCK: "p2"},
        processed=9,
        registered=True,
    ) | {"asynq:servers": {SERVER: NOW + 5}}


@dataclass(frozen=True, slots=True)
class Case:
    """`broken`: what is there beside what is healthy, or instead; `mended`: what is then. None: gone."""

    fault: Fault
    count: int
    broken: State
    mended: State = field(default_factory=dict)


def _hash(task: Kept, state_name: str, **fields: object) -> Hash:
    return Hash({"msg": {"type": "t", "id": task.id, "queue": "q"}, "state": state_name, **fields})


def _task(name: str) -> str:
    return f"asynq:{{q}}:t:{name}"


def _key(name: str) -> str:
    return f"asynq:{{q}}:{name}"


BACK = {"pending_since": NOW_NS}

CASES = {
    "an ID in pending without a task": Case(
        Fault.GHOST, 1, {_key("pending"): ["p2", "gone", "p1"]}, {_key("pending"): ["p2", "p1"]}
    ),
    "an ID in pending with the rest of a hash (Q-08)": Case(
        Fault.GHOST,
        1,
        {_key("pending"): ["p2", "gone", "p1"], _task("gone"): Hash(state="pending")},
        {_key("pending"): ["p2", "p1"], _task("gone"): None},
    ),
    "an ID in pending whose key is no hash": Case(
        Fault.GHOST,
        1,
        {_key("pending"): ["p2", "gone", "p1"], _task("gone"): "text"},
        {_key("pending"): ["p2", "p1"]},
    ),
    "an ID in scheduled without a task (Q-09)": Case(
        Fault.GHOST,
        1,
        {_key("scheduled"): {"s": NOW + 60, "gone": NOW}},
        {_key("scheduled"): {"s": NOW + 60}},
    ),
    "an ID in a group without a task": Case(
        Fault.GHOST, 1, {_key("g:g"): {"g1": NOW, "gone": NOW}}, {_key("g:g"): {"g1": NOW}}
    ),
    "a running ID without a task whose lease is over (Q-08)": Case(
        Fault.GHOST,
        1,
        {
            _key("active"): ["gone", "a2", "a1"],
            _key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100), "gone": NOW - 1},
            _task("gone"): Hash(state="active"),
        },
        {
            _key("active"): ["a2", "a1"],
            _key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100)},
            _task("gone"): None,
        },
    ),
    "a task active without a lease (F62)": Case(
        Fault.STRAY,
        1,
        {_key("active"): ["stray", "a2", "a1"], _task("stray"): _hash(kept("stray"), "active")},
        {
            _key("active"): ["a2", "a1"],
            _key("pending"): ["p2", "p1", "stray"],
            _task("stray"): _hash(kept("stray"), "pending", **BACK),
        },
    ),
    "a scheduled task that stands in retry, too": Case(
        Fault.STATE,
        1,
        {_key("retry"): {"r": NOW + 60, "s": NOW + 60}},
        {_key("retry"): {"r": NOW + 60}},
    ),
    "a task in pending that says it is archived": Case(
        Fault.STATE,
        1,
        {_key("pending"): ["p2", "odd", "p1"], _task("odd"): _hash(kept("odd"), "archived")},
        {_task("odd"): _hash(kept("odd"), "pending", **BACK)},
    ),
    "a task in archived that says it is active, as after a failed trim (Q-10)": Case(
        Fault.STATE,
        1,
        {_key("archived"): {"x": NOW - 60, "odd": NOW}, _task("odd"): _hash(kept("odd"), "active")},
        {_task("odd"): _hash(kept("odd"), "archived")},
    ),
    "a running task that says it is pending": Case(
        Fault.STATE,
        1,
        {_task("a1"): _hash(kept("a1"), "pending")},
        {_task("a1"): _hash(kept("a1"), "active")},
    ),
    "a running task that stands in pending, too": Case(
        Fault.STATE, 1, {_key("pending"): ["p2", "a1", "p1"]}, {_key("pending"): ["p2", "p1"]}
    ),
    "a task in a group that says it is scheduled": Case(
        Fault.STATE,
        1,
        {_key("g:g"): {"g1": NOW, "odd": NOW}, _task("odd"): _hash(kept("odd"), "scheduled")},
        {_task("odd"): _hash(kept("odd"), "aggregating", group="g")},
    ),
    "a lease that is over, of a task that is not in active": Case(
        Fault.LEASE,
        1,
        {
            _key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100), "odd": NOW - 1},
            _task("odd"): _hash(kept("odd"), "active"),
        },
        {
            _key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100)},
            _key("pending"): ["p2", "p1", "odd"],
            _task("odd"): _hash(kept("odd"), "pending", **BACK),
        },
    ),
    "a lease of a task that waits": Case(
        Fault.LEASE,
        1,
        {_key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100), "r": NOW + 20}},
        {_key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100)}},
    ),
    "a lease that is over, of no task": Case(
        Fault.LEASE,
        1,
        {_key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100), "gone": NOW - 1}},
        {_key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100)}},
    ),
    "a pending task that is in no list": Case(
        Fault.LOST,
        1,
        {_task("lost"): _hash(kept("lost"), "pending")},
        {_key("pending"): ["p2", "p1", "lost"], _task("lost"): _hash(kept("lost"), "pending", **BACK)},
    ),
    "a retry task that is in no set": Case(
        Fault.LOST,
        1,
        {_task("lost"): _hash(kept("lost"), "retry")},
        {_key("pending"): ["p2", "p1", "lost"], _task("lost"): _hash(kept("lost"), "pending", **BACK)},
    ),
    "an archived task that is in no set": Case(
        Fault.LOST,
        1,
        {_task("lost"): _hash(kept("lost"), "archived")},
        {_key("archived"): {"x": NOW - 60, "lost": NOW}},
    ),
    "a task of a group that is in none": Case(
        Fault.LOST,
        1,
        {_task("lost"): _hash(kept("lost"), "aggregating", group="h")},
        {_key("g:h"): {"lost": NOW}, _key("groups"): {"g", "h"}},
    ),
    "a task of a set that nobody aggregates any more": Case(
        Fault.LOST,
        1,
        {_key("g:g:old"): {"g3": NOW}, _task("g3"): _hash(kept("g3"), "aggregating", group="g")},
        {_key("g:g"): {"g1": NOW, "g3": NOW}},
    ),
    "a hash that holds but a result (Q-14)": Case(
        Fault.LOST, 1, {_task("lost"): Hash(result="text")}, {_task("lost"): None}
    ),
    "a unique lock whose task is gone (Q-03)": Case(
        Fault.LOCK, 1, {_key("unique:t:"): "gone"}, {_key("unique:t:"): None}
    ),
    "a unique lock whose task is gone, and whose ID is another task's now": Case(
        Fault.LOCK, 1, {_key("unique:t:"): "p2"}, {_key("unique:t:"): None}
    ),
    "a unique lock of an ID that another task has, which names none": Case(
        Fault.LOCK, 1, {_key("unique:t:"): "p1"}, {_key("unique:t:"): None}
    ),
    "a group that is not listed (Q-04, Q-05)": Case(
        Fault.GROUP,
        1,
        {_key("g:h:i"): {"g3": NOW}, _task("g3"): _hash(kept("g3"), "aggregating", group="h:i")},
        {_key("groups"): {"g", "h:i"}},
    ),
    "a group that is not listed, and whose first task is gone": Case(
        Fault.GROUP,
        1,
        {
            _key("g:h"): {"gone": NOW - 9, "g3": NOW},
            _task("g3"): _hash(kept("g3"), "aggregating", group="h"),
        },
        {_key("g:h"): {"g3": NOW}, _key("groups"): {"g", "h"}},
    ),
    "a group that is not listed, and of which nothing is left": Case(
        Fault.GROUP, 1, {_key("g:h"): {"gone": NOW}}, {_key("g:h"): None}
    ),
    "a queue that is not listed (Q-20)": Case(
        Fault.QUEUE,
        1,
        {"asynq:{other}:scheduled": {"s": NOW + 60}, "asynq:{other}:t:s": Hash(
            msg={"type": "t", "id": "s", "queue": "other"}, state="scheduled"
        )},
        {"asynq:queues": {"other", "q"}},
    ),
    "a server that died without a word (Q-28)": Case(
        Fault.SERVER,
        1,
        {"asynq:servers": {SERVER: NOW + 5, "asynq:servers:{h:2:b}": NOW - 5}},
        {"asynq:servers": {SERVER: NOW + 5}},
    ),
    "a scheduler that died without a word (Q-28)": Case(
        Fault.SERVER,
        1,
        {"asynq:schedulers": {"asynq:schedulers:{h:2:b}": NOW - 5}},
        {"asynq:schedulers": None},
    ),
}  # fmt: skip


def changed(before: State, changes: State) -> State:
    return {key: value for key, value in {**before, **changes}.items() if value is not None}


async def test_nothing_is_found_where_all_is_in_order(doctor: Doctor, redis: Redis) -> None:
    await seed(redis, before := healthy())

    examination = await doctor.examine()

    assert examination.damages == []
    assert await doctor.repair(examination.damages) == []
    assert await dump(redis) == before


@pytest.mark.parametrize("lock", [LOCK, _key("unique:t:"), _key("unique:" + 200 * "long" + ":")])
async def test_a_lock_that_only_the_message_names_is_held(doctor: Doctor, redis: Redis, lock: str) -> None:
    """As Go writes unique tasks into groups: without a field for it in the hash."""
    await seed(redis, changed(healthy(), {_task("p2"): _hash(kept("p2"), "pending"), LOCK: None, lock: "p2"}))
    await redis.hset(_task("p2"), "msg", encode(TaskMessage(type="t", id="p2", queue="q", unique_key=lock)))

    assert (await doctor.examine()).damages == []
    await redis.hset(_task("p2"), "msg", encode(TaskMessage(type="t", id="p2", queue="q")))
    assert [damage.fault for damage in (await doctor.examine()).damages] == [Fault.LOCK]


@pytest.mark.parametrize("name", CASES)
async def test_it_is_found_and_mended_and_nothing_else_is_touched(
    doctor: Doctor, redis: Redis, name: str
) -> None:
    case = CASES[name]
    await seed(redis, before := changed(healthy(), case.broken))

    examination = await doctor.examine()

    assert [(damage.fault, len(damage.ids)) for damage in examination.damages] == [(case.fault, case.count)]
    assert await dump(redis) == before, "a look has changed something"
    (plan,) = examination.repairs
    assert plan.count == case.count
    assert await doctor.repair(examination.damages) == [plan]
    assert await dump(redis) == changed(before, case.mended)
    assert (await doctor.examine()).damages == []


@pytest.mark.parametrize("name", CASES)
async def test_a_finding_of_its_check_tells_of_it_and_the_others_are_well(
    doctor: Doctor, redis: Redis, name: str
) -> None:
    await seed(redis, changed(healthy(), CASES[name].broken))

    (plan,) = (examination := await doctor.examine()).repairs

    of_data = examination.findings[-9:]
    assert [found.check for found in of_data if found.level is not Level.OK] == [plan.check]
    (told,) = (found for found in of_data if found.level is not Level.OK)
    assert told.level in (Level.WARNING, Level.ERROR)
    assert told.what.startswith("1 ")
    assert told.advice


@pytest.mark.parametrize("name", CASES)
async def test_what_came_into_order_between_look_and_repair_is_not_touched(
    doctor: Doctor, redis: Redis, name: str
) -> None:
    await seed(redis, changed(healthy(), CASES[name].broken))
    damages = (await doctor.examine()).damages
    for key in await dump(redis):
        await redis.delete(key)
    await seed(redis, before := healthy() | {"asynq:queues": {"other", "q"}})

    assert [step.count for step in await doctor.repair(damages)] == [0]
    assert await dump(redis) == before


IN_ORDER: dict[str, State] = {
    "a running task whose message is gone": {_task("a1"): Hash(state="active")},
    "a lease that lasts, of a task that is not in active": {
        _key("lease"): {"a1": lease(7), "a2": lease(8, NOW - 100), "odd": NOW + 20},
        _task("odd"): _hash(kept("odd"), "active"),
    },
    "a set whose tasks say that it is a group": {
        _task("g2"): _hash(kept("g2"), "aggregating", group="g:set")
    },
}


@pytest.mark.parametrize("name", IN_ORDER)
async def test_what_a_worker_may_be_about_to_settle_is_left_to_it(
    doctor: Doctor, redis: Redis, name: str
) -> None:
    await seed(redis, before := changed(healthy(), IN_ORDER[name]))

    examination = await doctor.examine()

    assert examination.damages == []
    assert await dump(redis) == before


async def test_an_id_whose_task_came_back_is_no_ghost(doctor: Doctor, redis: Redis) -> None:
    ghost = {_key("scheduled"): {"s": NOW + 60, "back": NOW + 60}}
    await seed(redis, changed(healthy(), ghost))
    damages = (await doctor.examine()).damages
    await seed(redis, {_task("back"): _hash(kept("back"), "scheduled")})
    before = await dump(redis)

    assert [(damage.fault, damage.ids) for damage in damages] == [(Fault.GHOST, (b"back",))]
    assert [step.count for step in await doctor.repair(damages)] == [0]
    assert await dump(redis) == before


@pytest.mark.parametrize(
    "broken",
    [
        {_key("active"): ["odd", "a2", "a1"], _task("odd"): _hash(kept("odd"), "active")},
        {_task("odd"): _hash(kept("odd"), "active")},
        {_key("lease"): {"odd": NOW - 1}, _task("odd"): _hash(kept("odd"), "active")},
    ],
    ids=["a stray", "a lost one", "a lease"],
)
async def test_what_a_living_server_says_that_it_runs_is_left_to_it(
    doctor: Doctor, redis: Redis, broken: State
) -> None:
    await seed(redis, changed(healthy(), broken))
    assert len((await doctor.examine()).damages) >= 1
    workers = "asynq:workers:{h:1:a}"
    await redis.zadd("asynq:workers", {workers: NOW + 5})
    await redis.hset(workers, "odd", encode(WorkerInfo(task_id="odd", queue="q")))

    assert [damage for damage in (await doctor.examine()).damages if b"odd" in damage.ids] == []


async def test_a_list_too_long_to_be_searched_leaves_its_tasks_alone(
    doctor: Doctor, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asynq_py.broker.survey.LONGEST_LIST", 1)
    odd = {_key("scheduled"): {"s": NOW + 60, "odd": NOW}, _task("odd"): _hash(kept("odd"), "pending")}
    await seed(redis, before := changed(healthy(), odd))

    examination = await doctor.examine()

    assert [damage.fault for damage in examination.damages] == [Fault.STATE]
    assert [step.count for step in await doctor.repair(examination.damages)] == [0]
    assert await dump(redis) == before


async def test_a_sample_is_no_more_than_was_said(redis: Redis, redis_url: str) -> None:
    await seed(redis, state(registered=True) | {_key("retry"): {f"{n:03}": n for n in range(30)}})

    async with Doctor(redis_url, sample=20) as doctor:
        (damage,) = (await doctor.examine()).damages
        assert damage.ids == tuple(f"{n:03}".encode() for n in range(20))
        assert [step.count for step in await doctor.repair([damage])] == [20]
    assert len((await dump(redis))[_key("retry")]) == 10


async def test_more_than_one_script_covers_are_found_and_mended(redis: Redis, doctor: Doctor) -> None:
    ghosts = {f"{n:04}": float(n) for n in range(700)}
    await seed(redis, state(registered=True) | {_key("retry"): ghosts})

    (damage,) = (examination := await doctor.examine()).damages
    assert len(damage.ids) == 700
    assert await doctor.repair(examination.damages) == examination.repairs
    assert await dump(redis) == state(registered=True)


async def test_a_key_of_a_strange_type_is_told_and_hides_no_other_queue(doctor: Doctor, redis: Redis) -> None:
    ghost = {"asynq:{other}:pending": ["gone"], "asynq:queues": {"q", "other"}}
    await seed(redis, {_key("scheduled"): "text", **ghost})

    examination = await doctor.examine()

    assert [damage.queue for damage in examination.damages] == ["other"]
    (ghosts,) = (found for found in examination.findings if found.check == "ghosts")
    (strays,) = (found for found in examination.findings if found.check == "strays")
    assert ghosts.what == "1 IDs whose task is gone, in other"
    assert (strays.level, "WRONGTYPE" in strays.what) == (Level.ERROR, True)
