"""A key of another type where a script wants to write: it is refused before anything is changed. F63."""

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector
from asynq_py.broker.broker import Broker
from asynq_py.errors import BrokerError
from tests.clock import ManualClock
from tests.integration.broker.test_ownership import ENDINGS, LOCK
from tests.state import NOW, NOW_NS, dump, kept, lease, new, seed, state

DAY = "2100-01-02"
P = "asynq:{q}:"
FAILURE = ("processed", "failed", f"processed:{DAY}", f"failed:{DAY}")
WRITTEN = {
    "done": ("active", "lease", "processed", f"processed:{DAY}"),
    "complete": ("active", "lease", "completed", "processed", f"processed:{DAY}"),
    "retry": ("active", "lease", "retry", *FAILURE),
    "archive": ("active", "lease", "archived", *FAILURE),
    "requeue": ("active", "lease", "pending"),
    "extend": ("lease",),
}
CASES = [pytest.param(ending, key, id=f"{ending}, {key}") for ending, keys in WRITTEN.items() for key in keys]


@pytest.mark.parametrize(("ending", "key"), CASES)
async def test_a_key_of_another_type_is_refused_and_nothing_is_changed(
    broker: Broker, redis: Redis, ending: str, key: str
) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]))
    await redis.delete(P + key)
    await redis.hset(P + key, "not", "ours")
    before = await dump(redis)

    with pytest.raises(BrokerError, match="WRONGTYPE"):
        await ENDINGS[ending](broker)

    assert await dump(redis) == before


@pytest.mark.parametrize("ending", ["complete", "retry", "archive", "requeue"])
async def test_a_task_whose_own_key_is_of_another_type_harms_itself_alone(
    broker: Broker, redis: Redis, ending: str
) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]))
    await redis.delete(P + "t:a")
    await redis.set(P + "t:a", "not ours")
    before = await dump(redis)

    assert await ENDINGS[ending](broker) == [False]
    assert await dump(redis) == before


async def test_a_lock_of_another_type_is_left_alone(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7), fields={"unique_key": LOCK})]))
    await redis.hset(LOCK, "not", "ours")

    assert await ENDINGS["done"](broker) == [True]
    assert await redis.hgetall(LOCK) == {b"not": b"ours"}


# -- what is new, taken, forwarded or recovered -------------------------------------------------------------


async def _enqueue(broker: Broker) -> object:
    return await broker.enqueue("q", [new("new")])


async def _schedule(broker: Broker) -> object:
    return await broker.schedule("q", [(new("new"), int(NOW) + 60, "")])


async def _add_to_group(broker: Broker) -> object:
    return await broker.add_to_group("q", [(new("new"), "h")])


async def _dequeue(broker: Broker) -> object:
    return await broker.dequeue("q", 10, expires_at=int(NOW) + 30, token=7)


async def _forward(broker: Broker) -> object:
    return await broker.forward("q")


async def _recover(broker: Broker) -> object:
    return await broker.recover("q", ended_by=NOW + 60)


async def _reclaim(broker: Broker) -> object:
    return await broker.reclaim("q", [b"unleased"])


STEPS: list[tuple[Callable[[Broker], Awaitable[object]], tuple[str, ...]]] = [
    (_enqueue, ("pending",)),
    (_schedule, ("scheduled",)),
    (_add_to_group, ("groups", "g:h")),
    (_dequeue, ("active", "lease")),
    (_forward, ("pending", "groups")),
    (_recover, ("active", "pending")),
    (_reclaim, ("active", "pending")),
]


@pytest.mark.parametrize(
    ("step", "key"),
    [pytest.param(step, key, id=f"{step.__name__[1:]}, {key}") for step, keys in STEPS for key in keys],
)
async def test_a_step_that_is_refused_loses_no_task_and_leaves_none_half_stored(
    broker: Broker, redis: Redis, step: Callable[[Broker], Awaitable[object]], key: str
) -> None:
    await seed(
        redis,
        state(
            active=[kept("running", lease(7)), kept("unleased")],
            pending=[kept("a"), kept("b")],
            scheduled=[kept("due", NOW)],
            groups={"h": [kept("c")]},
            registered=True,
        ),
    )
    await redis.zrem(P + "lease", "unleased")
    await redis.delete(P + key)
    await redis.set(P + key, "not ours")
    before = await dump(redis)

    with pytest.raises(BrokerError, match="WRONGTYPE"):
        await step(broker)

    assert await dump(redis) == before


@pytest.mark.parametrize("count", [1, 100])
async def test_a_task_that_is_no_hash_is_dropped_from_pending_and_holds_up_no_other(
    broker: Broker, redis: Redis, count: int
) -> None:
    """Anybody who may enqueue can do that to a queue."""
    good = [kept(f"{n:03}") for n in range(count)]
    await seed(redis, state(pending=[kept("bad"), *good]))
    await redis.delete(P + "t:bad")
    await redis.set(P + "t:bad", "not ours")

    tasks = await broker.dequeue("q", 200, expires_at=int(NOW) + 30, token=7)

    assert [task.id for task in tasks or ()] == [task.id for task in good]
    assert await dump(redis) == state(active=[kept(task.id, lease(7)) for task in good]) | {
        P + "t:bad": "not ours"
    }


async def test_a_state_that_there_is_not_holds_up_no_task(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(pending=[kept("a"), kept("b")], groups={"g": [kept("c")]}))
    await redis.hset(P + "t:a", "state", "groups")

    tasks = await broker.dequeue("q", 10, expires_at=int(NOW) + 30, token=7)

    assert [task.id for task in tasks or ()] == ["a", "b"]


async def test_a_task_whose_group_is_of_another_type_waits_and_holds_up_no_other(
    broker: Broker, redis: Redis
) -> None:
    bad = kept("bad", NOW - 1, fields={"group": "g"})
    await seed(redis, state(scheduled=[bad, kept("good", NOW)]))
    await redis.set(P + "g:g", "not ours")

    await broker.forward("q")

    after = state(
        pending=[kept("good", fields={"pending_since": NOW_NS})],
        scheduled=[kept("bad", NOW + 60, fields={"group": "g"})],
    )
    assert await dump(redis) == after | {P + "g:g": "not ours"}


@pytest.mark.parametrize("ending", ["done", "complete", "retry", "archive"])
@pytest.mark.parametrize("written", ["no number", "9223372036854775807", "1.5"])
async def test_a_counter_that_cannot_go_on_starts_anew_and_keeps_no_task_from_its_end(
    broker: Broker, redis: Redis, ending: str, written: str
) -> None:
    counters = [P + key for key in FAILURE]
    await seed(redis, state(active=[kept("a", lease(7))]) | dict.fromkeys(counters, written))

    assert await ENDINGS[ending](broker) == [True]

    after = await dump(redis)
    assert P + "lease" not in after
    is_failure = ending in ("retry", "archive")
    assert [after[key] for key in counters] == ["1", "1" if is_failure else written] * 2
    assert await redis.ttl(P + f"processed:{DAY}") > 0


async def test_numbers_that_are_none_count_as_zero(
    broker: Broker, redis: Redis, inspector: Inspector, clock: ManualClock
) -> None:
    clock.now = NOW
    bad = {"crashes": "many", "pending_since": "9" * 5000}
    await seed(
        redis,
        state(pending=[kept("a", fields=bad)], registered=True)
        | {P + "processed": "none", P + f"failed:{DAY}": "x"},
    )

    info = await inspector.queue_info("q")
    days = await inspector.history("q", 2)

    assert (info.latency, info.processed_total, info.failed) == (0.0, 0, 0)
    assert [(day.processed, day.failed) for day in days] == [(0, 0), (0, 0)]
    tasks = await broker.dequeue("q", 1, expires_at=int(NOW) + 30, token=7)
    assert [task.crashes for task in tasks or ()] == [0]
