"""Tasks whose worker is lost run again. Behaviour 11.5; F13, F14, F29."""

from __future__ import annotations

from collections import Counter

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.broker.broker import Broker
from asynq_py.server.outage import Outage
from asynq_py.server.recoverer import Recoverer
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become, message
from tests.clock import ManualClock
from tests.state import NOW, kept, lease, message_of, seed, state

SKEW = 5.0
KEYS = QueueKeys("default")


@pytest.fixture
def recoverer(broker: Broker, clock: ManualClock) -> Recoverer:
    return Recoverer(broker, clock, Outage("here"), ["q", "r"], interval=5.0, skew=SKEW)


async def test_a_lost_task_runs_next_with_its_retries_untouched(recoverer: Recoverer, redis: Redis) -> None:
    lost = kept("a", lease(7, NOW - SKEW - 1), retry=0)
    await seed(redis, state(active=[lost], pending=[kept("b")]))

    await recoverer.recover_once()

    assert await books(redis, "q") == Books(pending=("a", "b"))
    assert (await message(redis, "a", "q")).retried == 0
    assert await redis.hget(QueueKeys("q").task("a"), "crashes") == b"1"


async def test_a_lease_is_given_time_for_clocks_that_differ(
    recoverer: Recoverer, redis: Redis, clock: ManualClock
) -> None:
    await seed(redis, state(active=[kept("ours", lease(7, NOW)), kept("of Go", lease(0, NOW))]))

    await recoverer.recover_once()
    assert await books(redis, "q") == Books(active=("ours", "of Go"))

    clock.advance(SKEW + 1)
    await recoverer.recover_once()
    assert set((await books(redis, "q")).pending) == {"ours", "of Go"}


async def test_all_queues_are_looked_after_in_steps(recoverer: Recoverer, redis: Redis) -> None:
    many = [kept(str(n), lease(7, NOW - 60)) for n in range(250)]
    await seed(redis, state("q", active=many) | state("r", active=many))

    await recoverer.recover_once()

    for queue in ("q", "r"):
        seen = await books(redis, queue)
        assert (len(seen.pending), seen.active, seen.unleased) == (250, (), frozenset())


async def test_leases_of_tasks_that_are_gone_are_dropped(recoverer: Recoverer, redis: Redis) -> None:
    await redis.zadd("asynq:{q}:lease", {"gone": NOW - 60})
    await redis.lpush("asynq:{q}:active", "gone")

    await recoverer.recover_once()

    assert await books(redis, "q") == Books()


async def test_a_lease_without_a_task_does_not_hold_up_the_others(
    recoverer: Recoverer, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECOVER_BATCH", 2)
    await seed(redis, state(active=[kept(str(n), lease(7, NOW - 60)) for n in range(5)]))
    await redis.zadd("asynq:{q}:lease", {"gone": NOW - 100})

    await recoverer.recover_once()

    assert set((await books(redis, "q")).pending) == set("01234")


async def test_a_server_runs_the_tasks_of_a_lost_one_and_its_handler_is_told(
    redis_url: str, redis: Redis, clock: ManualClock
) -> None:
    crashes: list[int] = []

    async def handler(task: ActiveTask) -> None:
        crashes.append(task.crashes)

    await seed(redis, state("default", active=[kept("a", lease(7, NOW - 60))]))
    async with Server(redis_url, handler, clock=clock):
        await books_become(redis, Books(processed=1))
    assert crashes == [1]


async def test_a_task_on_which_three_workers_died_is_archived_and_its_neighbours_run(
    redis_url: str, redis: Redis, client: Client
) -> None:
    ran: Counter[str] = Counter()

    async def handler(task: ActiveTask) -> None:
        ran[task.id] += 1

    await client.enqueue_many([Task("t", task_id=name) for name in ("poison", "suspect", "fine")])
    await redis.hset(KEYS.task("poison"), "crashes", "3")
    await redis.hset(KEYS.task("suspect"), "crashes", "2")
    async with Server(redis_url, handler):
        await books_become(redis, Books(archived={"poison"}, processed=3, failed=1))
    assert ran == Counter(suspect=1, fine=1)
    assert (await message(redis, "poison")).error_msg == "3 workers died on this task"
    assert not await redis.hexists(KEYS.task("poison"), "crashes")


async def test_each_loss_counts_until_the_task_is_archived(
    redis_url: str, recoverer: Recoverer, redis: Redis, clock: ManualClock
) -> None:
    """Servers that die, played by fetching without ever ending the task."""
    await seed(redis, state("q", pending=[kept("a")]))
    for _ in range(3):
        await redis.lmove("asynq:{q}:pending", "asynq:{q}:active", "RIGHT", "LEFT")
        await redis.zadd("asynq:{q}:lease", {"a": lease(7, clock.now + 30)})
        await redis.hset("asynq:{q}:t:a", "state", "active")
        clock.advance(30 + SKEW + 1)
        await recoverer.recover_once()
        assert await books(redis, "q") == Books(pending=("a",))

    ran: list[str] = []
    async with Server(redis_url, lambda task: ran.append(task.id), queues=["q"], clock=clock):
        await books_become(redis, Books(archived={"a"}, processed=1, failed=1), "q")
    assert ran == []


# -- repair ---------------------------------------------------------------------------------------------


async def without_lease(redis: Redis, *ids: str, queue: str = "q") -> None:
    """Tasks whose leases somebody deleted."""
    await seed(redis, state(queue, active=[kept(task_id) for task_id in ids]))
    await redis.delete(QueueKeys(queue).lease)


async def test_a_task_without_a_lease_is_handed_back_when_it_is_seen_so_twice(
    recoverer: Recoverer, redis: Redis
) -> None:
    """F62: the worker that may still run it has had a beat to notice."""
    await without_lease(redis, "a", "b")

    await recoverer.repair_once()
    assert await books(redis, "q") == Books(active=("a", "b"), unleased={"a", "b"})

    await recoverer.repair_once()
    assert await books(redis, "q") == Books(pending=("a", "b"))
    assert not await redis.hexists(QueueKeys("q").task("a"), "crashes")


async def test_a_task_that_has_a_lease_again_at_the_second_look_is_left_alone(
    recoverer: Recoverer, redis: Redis
) -> None:
    await without_lease(redis, "a")
    await recoverer.repair_once()
    await redis.zadd("asynq:{q}:lease", {"a": lease(7)})
    await recoverer.repair_once()
    await redis.zrem("asynq:{q}:lease", "a")
    await recoverer.repair_once()

    assert (await books(redis, "q")).active == ("a",)


async def test_more_lost_leases_than_one_step_takes_are_repaired_in_order(
    recoverer: Recoverer, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REPAIR_BATCH", 2)
    await without_lease(redis, *"abcde")
    for _ in range(2):
        await recoverer.repair_once()
    assert await books(redis, "q") == Books(pending=tuple("abcde"))


@pytest.mark.parametrize("key", ["lease", "active", "pending"])
async def test_a_key_of_the_wrong_kind_stops_recovery_and_repair_of_its_own_queue_alone(
    recoverer: Recoverer, redis: Redis, key: str
) -> None:
    """F63."""
    await without_lease(redis, "stray", queue="q")
    await without_lease(redis, "stray", queue="r")
    await redis.zadd("asynq:{q}:lease", {"late": NOW - 60})
    await redis.zadd("asynq:{r}:lease", {"late": NOW - 60})
    await redis.lpush("asynq:{r}:active", "late")
    await redis.hset("asynq:{r}:t:late", mapping={"msg": message_of("late", queue="r"), "state": "active"})
    await redis.delete(f"asynq:{{q}}:{key}")
    await redis.set(f"asynq:{{q}}:{key}", "text")

    for _ in range(2):
        await recoverer.recover_once()
        await recoverer.repair_once()

    assert await books(redis, "r") == Books(pending=("stray", "late"))
