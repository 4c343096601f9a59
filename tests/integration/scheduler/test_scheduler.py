from __future__ import annotations

import asyncio
import random
from typing import cast

import pytest
from redis.asyncio import Redis

from asynq_py import (
    AsynqError,
    BrokerUnavailableError,
    DuplicateTaskError,
    Inspector,
    Scheduler,
    ServerStateError,
    Task,
    TaskIDConflictError,
    TaskInfo,
)
from asynq_py.wire.messages import SchedulerEnqueueEvent, SchedulerEntry
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.integration.scheduler.conftest import MakeScheduler
from tests.proxy import Cut, Proxy

TASK = Task("t", b"p")
HOUR = 3600


async def enqueued(redis: Redis, queue: str = "default") -> int:
    return int(await redis.llen(f"asynq:{{{queue}}}:pending"))


async def test_a_task_is_enqueued_at_each_time_with_its_options(
    make_scheduler: MakeScheduler, redis: Redis, redis_url: str, clock: ManualClock
) -> None:
    told: list[tuple[Task, TaskInfo | None, AsynqError | None]] = []
    scheduler = make_scheduler(post_enqueue=lambda *all: told.append(all))
    scheduler.register("@hourly", Task("t", b"p", max_retry=2, headers={"a": "b"}), queue="low", timeout=9)
    await scheduler.tick_once()
    assert await enqueued(redis, "low") == 0

    clock.advance(HOUR)
    await scheduler.tick_once()
    await scheduler.tick_once()

    assert await enqueued(redis, "low") == 1
    ((task, info, error),) = told
    assert task.type == "t"
    assert error is None
    assert info is not None
    async with Inspector(redis_url) as inspector:
        stored = await inspector.task_info("low", info.id)
    assert (stored.type, stored.payload, dict(stored.headers)) == ("t", b"p", {"a": "b"})
    assert (stored.max_retry, stored.timeout) == (2, 9)
    assert (info.id, info.state, info.max_retry) == (stored.id, stored.state, 2)
    clock.advance(HOUR)
    await scheduler.tick_once()
    assert await enqueued(redis, "low") == 2


async def test_of_each_time_one_task_is_enqueued_by_any_number_of_schedulers(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    schedulers = [make_scheduler() for _ in range(5)]
    for number, scheduler in enumerate(schedulers):
        scheduler.register("* * * * *", TASK)
        clock.advance(number)  # they are started one after the other
        scheduler.register("@every 20s", TASK, queue="every")
        await scheduler.tick_once()

    for _ in range(40):
        clock.advance(30)
        await asyncio.gather(*(scheduler.tick_once() for scheduler in schedulers))

    assert await enqueued(redis) == 20
    # half a minute from one look to the next: each look finds one time, or two of which it makes up the last
    assert await enqueued(redis, "every") == 40


@pytest.mark.parametrize("seed", range(5))
async def test_each_time_is_enqueued_once_while_schedulers_die_and_others_come(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock, seed: int
) -> None:
    chance = random.Random(seed)

    def start() -> Scheduler:
        scheduler = make_scheduler(missed=9)
        scheduler.register("* * * * *", TASK)
        scheduler.register("@every 60s", TASK, queue="every")
        return scheduler

    schedulers = [start() for _ in range(4)]
    await asyncio.gather(*(scheduler.tick_once() for scheduler in schedulers))
    for _ in range(40):
        clock.advance(60)
        awake = chance.sample(schedulers, chance.randint(1, 4))
        await asyncio.gather(*(scheduler.tick_once() for scheduler in awake))
        if chance.random() < 0.5:  # it is not told, and never heard of again
            schedulers[chance.randrange(4)] = start()
    await asyncio.gather(*(scheduler.tick_once() for scheduler in schedulers))

    assert await enqueued(redis) == 40
    assert await enqueued(redis, "every") == 40


async def test_a_scheduler_that_dies_before_it_is_answered_has_enqueued_for_all(
    make_scheduler: MakeScheduler, redis: Redis, proxy: Proxy, clock: ManualClock
) -> None:
    dies, lives = make_scheduler(proxy.url), make_scheduler()
    for scheduler in (dies, lives):
        scheduler.register("* * * * *", TASK)
        await scheduler.tick_once()
    clock.advance(60)
    await redis.script_flush()
    proxy.inject(Cut(), at=b"EVAL")
    await dies.tick_once()
    await lives.tick_once()
    assert await enqueued(redis) == 1


async def test_entries_of_one_name_are_one_however_they_differ(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    one, two = make_scheduler(), make_scheduler()
    one.register("* * * * *", Task("t", b"version 1"), name="mine")
    two.register("* * * * *", Task("t", b"version 2"), name="mine")
    await asyncio.gather(one.tick_once(), two.tick_once())
    clock.advance(60)
    await asyncio.gather(one.tick_once(), two.tick_once())
    assert await enqueued(redis) == 1


async def test_entries_that_are_alike_are_each_enqueued_once(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    schedulers = [make_scheduler(), make_scheduler()]
    for scheduler in schedulers:
        scheduler.register("* * * * *", TASK)
        scheduler.register("* * * * *", TASK)
        await scheduler.tick_once()
    clock.advance(60)
    for scheduler in schedulers:
        await scheduler.tick_once()
    assert await enqueued(redis) == 2


@pytest.mark.parametrize(("missed", "count"), [("skip", 0), ("once", 1), (2, 2), (9, 3)])
async def test_of_what_is_missed_while_no_scheduler_runs_the_policy_decides(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock, missed: str, count: int
) -> None:
    first = make_scheduler()
    first.register("@hourly", TASK, missed=missed)  # type: ignore[arg-type]  # of the table above
    await first.tick_once()
    clock.advance(HOUR)
    await first.tick_once()
    await first.aclose()
    clock.advance(3 * HOUR + 60)

    others = [make_scheduler(missed_within=24 * HOUR) for _ in range(3)]
    for other in others:
        other.register("@hourly", TASK, missed=missed)  # type: ignore[arg-type]  # as above
    await asyncio.gather(*(other.tick_once() for other in others))

    assert await enqueued(redis) == 1 + count


async def test_an_entry_that_is_new_has_missed_nothing(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    async with make_scheduler() as scheduler:
        before = make_scheduler()
        before.register("@hourly", TASK)
        await before.tick_once()
        clock.advance(HOUR)
        await before.tick_once()
        clock.advance(2 * HOUR + 60)
        scheduler.register("@hourly", TASK)
        await scheduler.tick_once()
        assert await enqueued(redis) == 1


async def test_what_is_refused_is_told_and_the_next_time_tried_again(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    errors: list[AsynqError | None] = []

    async def after(task: Task, info: TaskInfo | None, error: AsynqError | None) -> None:
        errors.append(error)

    scheduler = make_scheduler(post_enqueue=after)
    scheduler.register("* * * * *", TASK, task_id="fixed")
    scheduler.register("* * * * *", TASK, queue="q", unique=3600)
    for _ in range(3):
        await scheduler.tick_once()
        clock.advance(60)

    assert await enqueued(redis) == await enqueued(redis, "q") == 1
    assert sorted(type(error).__name__ for error in errors) == sorted(
        ["NoneType", "NoneType", TaskIDConflictError.__name__, DuplicateTaskError.__name__]
    )


async def test_a_hook_that_fails_costs_no_task(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def before(task: Task) -> None:
        seen.append(task.type)
        raise RuntimeError("before")

    async def after(*told: object) -> None:
        raise SystemExit("after")

    scheduler = make_scheduler(pre_enqueue=before, post_enqueue=after)
    scheduler.register("* * * * *", TASK)
    await scheduler.tick_once()
    clock.advance(60)
    await scheduler.tick_once()
    assert (seen, await enqueued(redis)) == (["t"], 1)
    assert [record.message for record in caplog.records] == ["a hook of the scheduler failed"] * 2


async def test_a_hook_that_hangs_holds_up_no_other_entry(redis_url: str, redis: Redis) -> None:
    release = asyncio.Event()

    async def before(task: Task) -> None:
        if task.type == "slow":
            await release.wait()

    scheduler = Scheduler(redis_url, pre_enqueue=before)
    async with scheduler:
        scheduler.register("@every 1s", Task("slow"), queue="slow")
        scheduler.register("@every 1s", TASK)
        await eventually(lambda: enqueued(redis), lambda count: count >= 2)
        assert await enqueued(redis, "slow") == 0
        release.set()
        await eventually(lambda: enqueued(redis, "slow"))


async def test_what_is_unregistered_is_enqueued_no_more(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    scheduler = make_scheduler()
    entry_id = scheduler.register("* * * * *", TASK)
    await scheduler.tick_once()
    scheduler.unregister(entry_id)
    clock.advance(60)
    await scheduler.tick_once()
    assert await enqueued(redis) == 0


# -- what tools see -----------------------------------------------------------------------------------------


async def entries(redis: Redis) -> list[SchedulerEntry]:
    keys = cast("list[bytes]", await redis.zrange("asynq:schedulers", 0, -1))
    return [
        SchedulerEntry.FromString(item)
        for key in keys
        for item in cast("list[bytes]", await redis.lrange(key, 0, -1))
    ]


async def test_entries_are_published_at_once_and_gone_at_the_end(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    scheduler = make_scheduler()
    entry_id = scheduler.register("@hourly", TASK, queue="low", max_retry=3)
    scheduler.register("0 0 30 2 *", TASK)
    async with scheduler:
        never, hourly = await eventually(lambda: entries(redis))
        assert (hourly.id, hourly.spec, hourly.task_type, hourly.task_payload) == (
            *(entry_id, "@hourly"),
            *("t", b"p"),
        )
        assert list(hourly.enqueue_options) == ['Queue("low")', "MaxRetry(3)"]
        assert hourly.next_enqueue_time.seconds == clock.now + HOUR
        zero = -62135596800  # Go's zero time; a field left out would be 1970
        assert hourly.prev_enqueue_time.seconds == zero
        assert (never.next_enqueue_time.seconds, never.prev_enqueue_time.seconds) == (zero, zero)

    assert await redis.keys("asynq:scheduler*") == []


async def test_history_tells_what_an_entry_enqueued_and_goes_with_it(redis_url: str, redis: Redis) -> None:
    scheduler = Scheduler(redis_url, heartbeat=0.05)
    entry_id = scheduler.register("@every 1s", TASK)
    history = f"asynq:scheduler_history:{entry_id}"
    async with scheduler:
        await eventually(lambda: redis.zcard(history))
        (item,) = cast("list[bytes]", await redis.zrange(history, 0, 0))
        event = SchedulerEnqueueEvent.FromString(item)
        assert await redis.exists(f"asynq:{{default}}:t:{event.task_id}")
        assert await redis.ttl(history) > 6 * 86400
        (entry,) = await eventually(
            lambda: entries(redis), lambda found: found[0].prev_enqueue_time.seconds > 0
        )
        assert entry.next_enqueue_time.seconds == entry.prev_enqueue_time.seconds + 1
        scheduler.unregister(entry_id)
        await eventually(lambda: redis.exists(history), lambda found: not found)


# -- life ---------------------------------------------------------------------------------------------------


async def test_a_scheduler_is_started_once_and_closed_for_good(make_scheduler: MakeScheduler) -> None:
    scheduler = make_scheduler(handle_signals=False)
    async with scheduler:
        assert scheduler.state == "active"
        with pytest.raises(ServerStateError):
            await scheduler.start()
    await scheduler.shutdown()
    assert scheduler.state == "closed"
    with pytest.raises(ServerStateError):
        await scheduler.serve()
    with pytest.raises(ServerStateError):
        scheduler.register("@daily", TASK)


async def test_serve_works_until_it_is_told_to_end(redis_url: str, redis: Redis) -> None:
    scheduler = Scheduler(redis_url, handle_signals=False)
    scheduler.register("@every 1s", TASK)
    serving = asyncio.create_task(scheduler.serve())
    await eventually(lambda: enqueued(redis))
    await scheduler.shutdown()
    await serving


# -- Redis is away ------------------------------------------------------------------------------------------


async def test_a_time_at_which_redis_is_away_is_enqueued_once_when_it_is_back(
    make_scheduler: MakeScheduler, redis: Redis, proxy: Proxy, clock: ManualClock
) -> None:
    told: list[AsynqError | None] = []
    scheduler = make_scheduler(proxy.url, missed="skip", post_enqueue=lambda t, i, error: told.append(error))
    scheduler.register("* * * * *", TASK)
    await scheduler.tick_once()
    clock.advance(60)
    proxy.is_refusing = True
    proxy.cut_all()
    await scheduler.tick_once()
    clock.advance(59)  # late for "skip", but it was tried in time
    await scheduler.tick_once()
    proxy.is_refusing = False
    await scheduler.tick_once()
    await scheduler.tick_once()
    assert (await enqueued(redis), told) == (1, [None])


async def test_a_time_given_up_for_the_next_is_told(
    make_scheduler: MakeScheduler, redis: Redis, proxy: Proxy, clock: ManualClock
) -> None:
    told: list[AsynqError | None] = []
    scheduler = make_scheduler(proxy.url, post_enqueue=lambda t, i, error: told.append(error))
    scheduler.register("* * * * *", TASK)
    await scheduler.tick_once()
    clock.advance(60)
    proxy.is_refusing = True
    proxy.cut_all()
    await scheduler.tick_once()
    clock.advance(60)
    proxy.is_refusing = False
    await scheduler.tick_once()
    assert await enqueued(redis) == 1
    assert [type(error) for error in told] == [BrokerUnavailableError, type(None)]


async def test_an_entry_begins_when_redis_comes(
    make_scheduler: MakeScheduler, redis: Redis, proxy: Proxy, clock: ManualClock
) -> None:
    scheduler = make_scheduler(proxy.url)
    scheduler.register("* * * * *", TASK)
    proxy.is_refusing = True
    proxy.cut_all()
    await scheduler.tick_once()
    proxy.is_refusing = False
    await scheduler.tick_once()
    clock.advance(60)
    await scheduler.tick_once()
    assert await enqueued(redis) == 1


async def test_a_lost_answer_is_asked_for_again_and_enqueues_nothing_twice(
    make_scheduler: MakeScheduler, redis: Redis, proxy: Proxy, clock: ManualClock
) -> None:
    told: list[TaskInfo | None] = []
    scheduler = make_scheduler(proxy.url, post_enqueue=lambda t, info, e: told.append(info))
    scheduler.register("* * * * *", TASK)
    await scheduler.tick_once()
    clock.advance(60)
    await redis.script_flush()
    proxy.inject(Cut(), at=b"EVAL")
    await scheduler.tick_once()
    assert (await enqueued(redis), told) == (1, [])
    await scheduler.tick_once()
    (info,) = told
    assert info is not None
    assert await redis.lrange("asynq:{default}:pending", 0, -1) == [info.id.encode()]
