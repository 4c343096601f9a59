from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import (
    AsynqError,
    BrokerError,
    Inspector,
    InvalidOptionError,
    QueueNotFoundError,
    TaskNotFoundError,
)
from asynq_py.wire import limits
from tests.state import NOW, NOW_NS, Kept, State, dump, kept, lease, seed, state

LOCK = "asynq:{q}:unique:t:"
STATES = ["pending", "scheduled", "retry", "archived", "completed", "aggregating"]
SINCE = {"pending_since": NOW_NS}
TOUCHED = [
    *(("run", key) for key in ("pending", "groups", "g:g")),
    *(("archive", key) for key in ("archived", "groups", "g:g")),
    *(("delete", key) for key in ("groups", "g:g")),
]


def in_state(name: str, *tasks: Kept, **more: Any) -> State:
    if not tasks:
        return state(**more, registered=True)
    given: dict[str, Any] = {"groups": {"g": tasks}} if name == "aggregating" else {name: tasks}
    return state(**given, **more, registered=True)


def locked(task_id: str = "a", *, score: float = NOW + 60, **fields: Any) -> Kept:
    """It was in a group at some time, or is."""
    return kept(task_id, score, unique_key=LOCK, fields={"unique_key": LOCK, "group": "g", **fields})


# -- one task -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in STATES if name != "pending"])
async def test_a_task_of_any_state_is_run_after_those_that_wait_already(
    inspector: Inspector, redis: Redis, name: str
) -> None:
    before = in_state(name, locked(), locks={LOCK: "a"})
    await seed(redis, before | state(pending=[kept("first")]))

    await inspector.run_task("q", "a")

    after = state(pending=[kept("first"), locked(pending_since=NOW_NS)], locks={LOCK: "a"}, registered=True)
    assert await dump(redis) == after


@pytest.mark.parametrize("name", [name for name in STATES if name != "archived"])
async def test_a_task_of_any_state_is_archived_and_keeps_its_lock(
    inspector: Inspector, redis: Redis, name: str
) -> None:
    there = locked(pending_since=NOW_NS) if name == "pending" else locked()
    await seed(redis, in_state(name, there, locks={LOCK: "a"}))

    await inspector.archive_task("q", "a")

    assert await dump(redis) == state(archived=[locked(score=NOW)], locks={LOCK: "a"}, registered=True)


@pytest.mark.parametrize("name", STATES)
async def test_a_task_of_any_state_is_deleted_with_its_lock(
    inspector: Inspector, redis: Redis, name: str
) -> None:
    await seed(redis, in_state(name, locked(), locks={LOCK: "a"}))

    await inspector.delete_task("q", "a")

    assert await dump(redis) == {"asynq:queues": {"q"}}


async def test_a_lock_that_is_anothers_by_now_stays(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(scheduled=[locked()], locks={LOCK: "b"}))

    await inspector.delete_task("q", "a")

    assert await dump(redis) == {LOCK: "b"}


async def test_a_group_stays_listed_while_tasks_wait_in_it(inspector: Inspector, redis: Redis) -> None:
    a, b = locked("a"), locked("b")
    await seed(redis, state(groups={"g": [a, b]}))

    await inspector.delete_task("q", "a")

    assert await dump(redis) == state(groups={"g": [b]})


@pytest.mark.parametrize(
    ("move", "there", "why"),
    [
        ("run_task", state(active=[kept("a", lease(7))]), "it is running"),
        ("archive_task", state(active=[kept("a", lease(7))]), "it is running"),
        ("delete_task", state(active=[kept("a", lease(7))]), "it is running"),
        ("run_task", state(pending=[kept("a")]), "it is pending already"),
        ("archive_task", state(archived=[kept("a", NOW)]), "it is archived already"),
        ("run_task", {**state(retry=[kept("a", NOW)]), "asynq:{q}:retry": {"b": NOW}}, "not where its state"),
        ("archive_task", {**state(pending=[kept("a")]), "asynq:{q}:pending": ["b"]}, "not where its state"),
        ("delete_task", {**state(pending=[kept("a")]), "asynq:{q}:pending": ["b"]}, "not where its state"),
    ],
)
async def test_a_task_that_cannot_be_moved_stays_and_the_error_says_why(
    inspector: Inspector, redis: Redis, move: str, there: State, why: str
) -> None:
    await seed(redis, there)
    methods: dict[str, Callable[[str, str], Awaitable[None]]] = {
        "run_task": inspector.run_task,
        "archive_task": inspector.archive_task,
        "delete_task": inspector.delete_task,
    }

    with pytest.raises(AsynqError, match=why):
        await methods[move]("q", "a")

    assert await dump(redis) == there


async def test_a_task_that_is_not_there_is_told(inspector: Inspector, redis: Redis) -> None:
    with pytest.raises(QueueNotFoundError):
        await inspector.run_task("q", "a")
    await redis.sadd("asynq:queues", "q")
    for move in (inspector.run_task, inspector.archive_task, inspector.delete_task):
        with pytest.raises(TaskNotFoundError):
            await move("q", "a")
        with pytest.raises(InvalidOptionError):
            await move("q", " ")


# -- all of a state -----------------------------------------------------------------------------------------


def many(score: float = NOW + 60, **fields: Any) -> list[Kept]:
    return [kept(task_id, score, fields=fields) for task_id in "abcde"]


async def of_all(inspector: Inspector, verb: str, name: str) -> int:
    match verb, name:
        case "run", "scheduled":
            return await inspector.run_all_scheduled("q")
        case "run", "retry":
            return await inspector.run_all_retry("q")
        case "run", "archived":
            return await inspector.run_all_archived("q")
        case "run", "aggregating":
            return await inspector.run_all_aggregating("q", "g")
        case "archive", "pending":
            return await inspector.archive_all_pending("q")
        case "archive", "scheduled":
            return await inspector.archive_all_scheduled("q")
        case "archive", "retry":
            return await inspector.archive_all_retry("q")
        case "archive", "aggregating":
            return await inspector.archive_all_aggregating("q", "g")
        case "delete", "pending":
            return await inspector.delete_all_pending("q")
        case "delete", "scheduled":
            return await inspector.delete_all_scheduled("q")
        case "delete", "retry":
            return await inspector.delete_all_retry("q")
        case "delete", "archived":
            return await inspector.delete_all_archived("q")
        case "delete", "completed":
            return await inspector.delete_all_completed("q")
        case _:
            return await inspector.delete_all_aggregating("q", "g")


RUN = [("run", name) for name in ("scheduled", "retry", "archived", "aggregating")]
ARCHIVE = [("archive", name) for name in ("pending", "scheduled", "retry", "aggregating")]
DELETE = [("delete", name) for name in STATES]


@pytest.mark.parametrize(("verb", "name"), [*RUN, *ARCHIVE, *DELETE])
async def test_all_tasks_of_a_state_are_moved_in_steps(
    inspector: Inspector, redis: Redis, verb: str, name: str, small_steps: None
) -> None:
    after = {
        "run": state(pending=many(pending_since=NOW_NS), registered=True),
        "archive": state(archived=many(NOW), registered=True),
        "delete": state(registered=True),
    }
    await seed(redis, in_state(name, *many(**(SINCE if name == "pending" else {}))))

    assert await of_all(inspector, verb, name) == 5

    assert await dump(redis) == after[verb]
    assert await of_all(inspector, verb, name) == 0


@pytest.mark.parametrize(("verb", "name"), [*RUN, *ARCHIVE, *DELETE])
async def test_lost_tasks_are_dropped_and_not_counted(
    inspector: Inspector, redis: Redis, verb: str, name: str
) -> None:
    await seed(redis, in_state(name, *many()))
    await redis.delete("asynq:{q}:t:b")
    await redis.delete("asynq:{q}:t:c")
    await redis.hset("asynq:{q}:t:c", "result", "left over")

    assert await of_all(inspector, verb, name) == 3

    assert not await redis.exists("asynq:{q}:t:b", "asynq:{q}:t:c")


@pytest.mark.parametrize("name", STATES)
async def test_locks_go_with_all_deleted_tasks(inspector: Inspector, redis: Redis, name: str) -> None:
    locks = {f"{LOCK}{task_id}": task_id for task_id in "ab"}
    tasks = [kept(i, NOW, fields={"unique_key": lock}) for lock, i in locks.items()]
    await seed(redis, in_state(name, *tasks, locks=locks))

    assert await of_all(inspector, "delete", name) == 2

    assert await dump(redis) == {"asynq:queues": {"q"}}


@pytest.mark.parametrize("how", ["one", "all"])
async def test_the_lock_of_a_group_task_that_go_wrote_goes_with_it(
    inspector: Inspector, redis: Redis, how: str
) -> None:
    """Go names it in the message alone."""
    task = kept("a", NOW, unique_key=LOCK, fields={"group": "g"})
    await seed(redis, state(groups={"g": [task]}, locks={LOCK: "a"}, registered=True))

    if how == "one":
        await inspector.delete_task("q", "a")
    else:
        assert await inspector.delete_all_aggregating("q", "g") == 1

    assert await dump(redis) == {"asynq:queues": {"q"}}


async def test_a_running_task_that_is_listed_as_pending_is_left_to_its_worker(
    inspector: Inspector, redis: Redis
) -> None:
    running = state(active=[kept("a", lease(7))], registered=True)
    await seed(redis, running)
    await redis.lpush("asynq:{q}:pending", "a")

    assert await inspector.delete_all_pending("q") == 0

    assert await dump(redis) == running


async def test_a_key_that_is_no_task_harms_no_other(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, {**state(scheduled=many()), "asynq:{q}:t:c": "no hash"})

    assert await inspector.delete_all_scheduled("q") == 4

    assert await dump(redis) == {"asynq:{q}:t:c": "no hash"}


async def test_all_of_a_queue_that_is_not_there_is_an_error(inspector: Inspector) -> None:
    for verb, name in (*RUN, *ARCHIVE, *DELETE):
        with pytest.raises(QueueNotFoundError):
            await of_all(inspector, verb, name)


async def test_an_archive_that_is_full_forgets_its_oldest(
    inspector: Inspector, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_SIZE", 3)
    await seed(redis, state(pending=many(), archived=[kept("old", NOW - 1)], registered=True))

    assert await inspector.archive_all_pending("q") == 5

    assert await dump(redis) == state(archived=[kept(i, NOW) for i in "cde"], registered=True)


async def test_pausing_a_queue_is_told_by_its_numbers(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(pending=many(), registered=True))
    await inspector.pause_queue("q")
    assert (await inspector.queue_info("q")).is_paused
    await inspector.unpause_queue("q")
    assert not (await inspector.queue_info("q")).is_paused


@pytest.mark.parametrize(("verb", "key"), TOUCHED)
@pytest.mark.parametrize("how", ["one", "all"])
async def test_a_key_of_another_type_is_refused_and_nothing_is_changed(
    inspector: Inspector, redis: Redis, verb: str, how: str, key: str
) -> None:
    await seed(redis, in_state("aggregating", locked()))
    await redis.delete(f"asynq:{{q}}:{key}")
    await redis.set(f"asynq:{{q}}:{key}", "not ours")
    before = await dump(redis)
    one = {"run": inspector.run_task, "archive": inspector.archive_task, "delete": inspector.delete_task}

    with pytest.raises(BrokerError, match="WRONGTYPE"):
        await (one[verb]("q", "a") if how == "one" else of_all(inspector, verb, "aggregating"))

    assert await dump(redis) == before
