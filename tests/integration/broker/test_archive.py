import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from asynq_py.wire import limits
from tests.state import NOW, Kept, State, dump, kept, lease, message_of, seed, state

LOCK = "asynq:{q}:unique:t:"
OLD = NOW - limits.ARCHIVE_AGE


async def archive(broker: Broker, task_id: str = "new") -> None:
    assert await broker.archive("q", [(Owned(task_id, 7), message_of(task_id))]) == [True]


def archived(tasks: list[Kept], *, count: int = 1, **more: State) -> State:
    return state(archived=tasks, processed=count, failed=count, **more)  # type: ignore[arg-type]


async def test_a_task_that_failed_for_good_is_put_aside_and_counted(broker: Broker, redis: Redis) -> None:
    fields = {"unique_key": LOCK, "result": "half", "crashes": 1}
    await seed(redis, state(active=[kept("a", lease(7), fields=fields)], locks={LOCK: "a"}))

    message = message_of("a", error_msg="boom", last_failed_at=int(NOW))
    assert await broker.archive("q", [(Owned("a", 7), message)]) == [True]

    del fields["crashes"]
    task = kept("a", NOW, error_msg="boom", last_failed_at=int(NOW), fields=fields)
    assert await dump(redis) == state(archived=[task], locks={LOCK: "a"}, processed=1, failed=1)


async def test_several_tasks_are_answered_and_counted_one_by_one(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept(i, lease(9 if i == "b" else 7)) for i in "abc"]))

    answers = await broker.archive("q", [(Owned(i, 7), message_of(i)) for i in "abc"])

    assert answers == [True, False, True]
    assert await dump(redis) == state(
        active=[kept("b", lease(9))], archived=[kept("a", NOW), kept("c", NOW)], processed=2, failed=2
    )


async def test_tasks_of_90_days_ago_are_forgotten_with_all_they_hold(broker: Broker, redis: Redis) -> None:
    old = kept("old", OLD, fields={"unique_key": LOCK})
    await seed(
        redis,
        state(archived=[old, kept("younger", OLD + 1)], active=[kept("new", lease(7))], locks={LOCK: "old"}),
    )

    await archive(broker)

    assert await dump(redis) == archived([kept("younger", OLD + 1), kept("new", NOW)])


async def test_a_forgotten_task_leaves_a_lock_alone_that_is_not_its_own(broker: Broker, redis: Redis) -> None:
    old = kept("old", OLD, fields={"unique_key": LOCK})
    await seed(redis, state(archived=[old], active=[kept("new", lease(7))], locks={LOCK: "other"}))

    await archive(broker)

    assert await dump(redis) == archived([kept("new", NOW)]) | {LOCK: "other"}


async def test_a_full_archive_forgets_its_oldest(
    broker: Broker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_SIZE", 3)
    tasks = [kept(i, NOW - 10 + n) for n, i in enumerate("abc")]
    await seed(redis, state(archived=tasks, active=[kept("new", lease(7))]))

    await archive(broker)

    assert await dump(redis) == archived([*tasks[1:], kept("new", NOW)])


async def test_an_overlong_archive_shrinks_in_steps(
    broker: Broker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRIM_BATCH", 2)
    old = [kept(f"old {n}", OLD - 10 + n) for n in range(5)]
    await seed(redis, state(archived=old, active=[kept(i, lease(7)) for i in ("x", "y", "z")]))

    await archive(broker, "x")
    rest = state(active=[kept("y", lease(7)), kept("z", lease(7))])
    assert await dump(redis) == archived([*old[2:], kept("x", NOW)]) | rest

    await archive(broker, "y")
    await archive(broker, "z")
    assert await dump(redis) == archived([kept(i, NOW) for i in ("x", "y", "z")], count=3)


async def test_both_totals_roll_over_together_when_processed_is_full(broker: Broker, redis: Redis) -> None:
    totals = {"asynq:{q}:processed": str(2**63 - 1), "asynq:{q}:failed": "100"}
    await seed(redis, state(active=[kept("new", lease(7))]) | totals)

    await archive(broker)

    assert await dump(redis) == archived([kept("new", NOW)])
