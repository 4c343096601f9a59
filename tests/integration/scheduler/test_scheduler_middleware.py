"""What wraps the enqueueing of a client wraps the times of a scheduler as well, once for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from asynq_py import (
    App,
    AsynqError,
    BrokerUnavailableError,
    DuplicateTaskError,
    EnqueueCall,
    EnqueueError,
    InvalidOptionError,
    PeriodicTask,
    PeriodicTaskManager,
    Scheduler,
    Task,
    TaskIDConflictError,
    TaskInfo,
    scheduled_at,
)
from asynq_py.scheduler.ticker import TURN
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.integration.scheduler.conftest import MakeScheduler
from tests.integration.scheduler.test_scheduler import enqueued
from tests.proxy import Proxy

Answers = Sequence[TaskInfo | EnqueueError]
Told = tuple[Task, TaskInfo | None, AsynqError | None]
MINUTELY = "* * * * *"


class Seen:
    """A middleware that remembers what came, and how it went."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.answers: list[TaskInfo | EnqueueError] = []

    async def __call__(self, tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        self.tasks += tasks
        answers = await call_next(tasks)
        self.answers += answers
        return answers


async def with_header(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
    return await call_next([task.with_headers({"tenant": "acme"}) for task in tasks])


async def next_minute(clock: ManualClock, *schedulers: Scheduler) -> None:
    clock.advance(60)
    await asyncio.gather(*(scheduler.tick_once() for scheduler in schedulers))


async def time_of_turns_passes(clock: ManualClock, redis: Redis) -> None:
    """Turns end by the clock of Redis, which no test can move."""
    clock.advance(TURN)
    async for key in redis.scan_iter("asynq:*:cron-turn:*"):  # on all nodes
        await redis.delete(key)


async def test_a_middleware_sees_the_options_and_changes_what_is_enqueued(
    make_scheduler: MakeScheduler, clock: ManualClock
) -> None:
    seen = Seen()
    told: list[Told] = []
    scheduler = make_scheduler(middleware=[with_header, seen], post_enqueue=lambda *all: told.append(all))
    scheduler.register(MINUTELY, Task("t", headers={"a": "b"}, max_retry=2), queue="low", timeout=9)
    await scheduler.tick_once()
    await next_minute(clock, scheduler)

    (task,), (answer,) = seen.tasks, seen.answers
    assert (task.options.queue, task.options.max_retry, task.options.timeout) == ("low", 2, 9)
    assert isinstance(answer, TaskInfo)
    assert answer.headers == {"a": "b", "tenant": "acme"}
    assert [info for _, info, _ in told] == [answer]


async def test_it_runs_once_for_a_time_however_many_schedulers_there_are(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    seen = Seen()
    schedulers = [make_scheduler(middleware=[seen], missed=9) for _ in range(5)]
    for number, scheduler in enumerate(schedulers):
        scheduler.register(MINUTELY, Task("t"))
        scheduler.register("@every 60s", Task("e"), queue="every")
        await scheduler.tick_once()
        clock.advance(number)

    for _ in range(10):
        await next_minute(clock, *schedulers)
    clock.advance(1)  # who gave way looks again, and sees that it is done
    await asyncio.gather(*(scheduler.tick_once() for scheduler in schedulers))

    assert len(seen.tasks) == 20
    assert all(isinstance(answer, TaskInfo) for answer in seen.answers)
    assert await enqueued(redis) == await enqueued(redis, "every") == 10


async def test_who_dies_with_its_turn_is_followed_by_another(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    begun = asyncio.Event()

    async def hang(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    dies, lives = make_scheduler(middleware=[hang]), make_scheduler(middleware=[Seen()])
    for scheduler in (dies, lives):
        scheduler.register(MINUTELY, Task("t"))
        await scheduler.tick_once()
    clock.advance(60)
    dying = asyncio.create_task(dies.tick_once())
    await asyncio.wait_for(begun.wait(), 20)
    dying.cancel()
    await lives.tick_once()
    assert await enqueued(redis) == 0

    await time_of_turns_passes(clock, redis)
    await lives.tick_once()
    assert await enqueued(redis) == 1


async def test_one_that_is_too_slow_for_its_turn_is_told_that_another_enqueued(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    told: list[Told] = []

    async def wait(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        begun.set()
        await go_on.wait()
        return await call_next(tasks)

    seen = Seen()
    slow = make_scheduler(middleware=[seen, wait], post_enqueue=lambda *all: told.append(all))
    fast = make_scheduler(middleware=[Seen()])
    for scheduler in (slow, fast):
        scheduler.register(MINUTELY, Task("t"))
        await scheduler.tick_once()
    clock.advance(60)
    ticking = asyncio.create_task(slow.tick_once())
    await asyncio.wait_for(begun.wait(), 20)
    await time_of_turns_passes(clock, redis)
    await fast.tick_once()
    go_on.set()
    await ticking

    (answer,) = seen.answers
    assert isinstance(answer, DuplicateTaskError)
    assert "another scheduler" in str(answer)
    assert (await enqueued(redis), told) == (1, [])


async def test_a_time_whose_middleware_raises_is_tried_again(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([ZeroDivisionError, SystemExit])

    async def fail_twice(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        for failure in failures:
            raise failure
        return await call_next(tasks)

    scheduler = make_scheduler(middleware=[fail_twice])
    scheduler.register(MINUTELY, Task("t"))
    await scheduler.tick_once()
    await next_minute(clock, scheduler)
    await scheduler.tick_once()
    assert (len(caplog.records), await enqueued(redis)) == (1, 0)

    for _ in range(2):
        await time_of_turns_passes(clock, redis)
        await scheduler.tick_once()
    assert (len(caplog.records), await enqueued(redis)) == (2, 1)


async def test_what_it_raises_behind_the_enqueueing_enqueues_nothing_twice(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        await call_next(tasks)
        raise ZeroDivisionError

    scheduler = make_scheduler(middleware=[fail])
    scheduler.register(MINUTELY, Task("t"))
    await scheduler.tick_once()
    await next_minute(clock, scheduler)
    await time_of_turns_passes(clock, redis)
    await scheduler.tick_once()
    assert await enqueued(redis) == 1
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_what_it_keeps_back_is_told_and_the_time_is_over(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock
) -> None:
    refusal = EnqueueError("not today", queue="default", task_id="")
    told: list[Told] = []

    async def refuse(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        return [refusal]

    scheduler = make_scheduler(middleware=[refuse], post_enqueue=lambda *all: told.append(all))
    scheduler.register(MINUTELY, Task("t"))
    await scheduler.tick_once()
    await next_minute(clock, scheduler)
    await time_of_turns_passes(clock, redis)
    await scheduler.tick_once()
    assert ([error for *_, error in told], await enqueued(redis)) == ([refusal], 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"queue": "elsewhere"}, "where the times of its entry are"), (None, "at most 3 bytes")],
)
async def test_a_task_must_stay_in_its_queue_and_fit(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock, change: dict[str, str] | None, why: str
) -> None:
    async def change_it(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        (task,) = tasks
        changed = Task("t", b"four") if change is None else task.with_options(queue=change["queue"])
        return await call_next([changed])

    seen, told = Seen(), list[Told]()
    scheduler = make_scheduler(
        middleware=[seen, change_it], payload_limit=3, post_enqueue=lambda *all: told.append(all)
    )
    scheduler.register(MINUTELY, Task("t"))
    await scheduler.tick_once()
    await next_minute(clock, scheduler)

    (answer,) = seen.answers
    assert isinstance(answer, EnqueueError)
    assert isinstance(answer.__cause__, InvalidOptionError)
    assert why in str(answer)
    assert [error for *_, error in told] == [answer]
    assert await enqueued(redis) == 0


async def test_one_that_makes_several_tasks_of_a_time_is_refused(
    make_scheduler: MakeScheduler, redis: Redis, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def double(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        return (await call_next([*tasks, *tasks]))[:1]

    scheduler = make_scheduler(middleware=[double])
    scheduler.register(MINUTELY, Task("t"))
    await scheduler.tick_once()
    await next_minute(clock, scheduler)
    assert await enqueued(redis) == 0
    assert "one for a time of an entry" in caplog.text


async def test_a_refusal_is_an_answer(make_scheduler: MakeScheduler, clock: ManualClock) -> None:
    seen = Seen()
    scheduler = make_scheduler(middleware=[seen])
    scheduler.register(MINUTELY, Task("t"), task_id="fixed")
    await scheduler.tick_once()
    for _ in range(2):
        await next_minute(clock, scheduler)
    assert [type(answer) for answer in seen.answers] == [TaskInfo, TaskIDConflictError]


async def test_an_outage_is_an_answer_and_what_was_made_is_stored_when_it_is_over(
    make_scheduler: MakeScheduler, redis: Redis, proxy: Proxy, clock: ManualClock
) -> None:
    async def cut(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        proxy.is_refusing = True
        proxy.cut_all()
        return await call_next(tasks)

    seen, told = Seen(), list[Told]()
    scheduler = make_scheduler(
        proxy.url, middleware=[seen, with_header, cut], post_enqueue=lambda *all: told.append(all)
    )
    scheduler.register(MINUTELY, Task("t"))
    await scheduler.tick_once()
    await next_minute(clock, scheduler)
    (answer,) = seen.answers
    assert isinstance(answer, EnqueueError)
    assert isinstance(answer.__cause__, BrokerUnavailableError)
    assert told == []

    proxy.is_refusing = False
    await scheduler.tick_once()
    ((_, info, error),) = told
    assert info is not None
    assert (info.headers, error) == ({"tenant": "acme"}, None)
    assert (len(seen.tasks), await enqueued(redis)) == (1, 1)


async def test_a_time_at_which_redis_is_away_is_not_late_for_having_middleware(
    make_scheduler: MakeScheduler, redis: Redis, proxy: Proxy, clock: ManualClock
) -> None:
    scheduler = make_scheduler(proxy.url, middleware=[Seen()], missed="skip")
    scheduler.register(MINUTELY, Task("t"))
    await scheduler.tick_once()
    clock.advance(60)
    proxy.is_refusing = True
    proxy.cut_all()
    await scheduler.tick_once()
    clock.advance(59)
    proxy.is_refusing = False
    await scheduler.tick_once()
    assert await enqueued(redis) == 1


async def test_what_an_app_has_on_enqueue_is_around_what_its_schedulers_enqueue(
    redis_url: str, redis: Redis, clock: ManualClock
) -> None:
    seen = Seen()
    app = App(redis_url)
    app.on_enqueue(with_header)

    @app.cron(MINUTELY)
    async def tidy() -> None: ...

    scheduler = app.scheduler(middleware=[seen], clock=clock)
    await scheduler.tick_once()
    await next_minute(clock, scheduler)
    await scheduler.aclose()
    assert [(task.type, task.headers) for task in seen.tasks] == [("tidy", {"tenant": "acme"})]
    assert await enqueued(redis) == 1


async def test_it_can_ask_for_the_time_that_is_due_and_only_there(
    make_scheduler: MakeScheduler, clock: ManualClock
) -> None:
    times: list[float | None] = []

    async def note(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        at = scheduled_at()
        times.append(None if at is None else at.timestamp())
        return await call_next(tasks)

    scheduler = make_scheduler(middleware=[note])
    scheduler.register(MINUTELY, Task("t"))
    await scheduler.tick_once()
    clock.advance(61)
    await scheduler.tick_once()
    assert times == [clock.now - 1]
    assert scheduled_at() is None


async def test_a_rehearsal_of_an_app_plays_it_too(one_server: str) -> None:
    seen = Seen()
    app = App(one_server)
    app.on_enqueue(seen, with_header)

    @app.cron("@hourly")
    async def tidy() -> None: ...

    async with app.test(one_server) as rehearsal:
        await rehearsal.advance("3h")

    assert len(seen.answers) == len(rehearsal.runs("tidy")) == 3
    assert [task.headers for task in rehearsal.enqueued("tidy")] == [{"tenant": "acme"}] * 3


async def test_a_manager_of_periodic_tasks_has_it_too(redis_url: str, redis: Redis) -> None:
    seen = Seen()

    async def provide() -> list[PeriodicTask]:
        return [PeriodicTask("@every 1s", Task("t"))]

    async with PeriodicTaskManager(redis_url, provide, middleware=[seen]):
        await eventually(lambda: enqueued(redis), lambda count: count >= 2)
    assert len(seen.answers) == await enqueued(redis)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="middleware"):
        Scheduler(middleware=[1])  # type: ignore[list-item]  # what users may do
