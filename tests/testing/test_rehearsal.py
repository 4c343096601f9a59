"""Tasks run when a test says so, and time moves when it is told to. The scripts and the Redis are real."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asynq_py import (
    ActiveTask,
    AsynqError,
    Client,
    DuplicateTaskError,
    InvalidOptionError,
    RetryLater,
    RevokeTask,
    ServeMux,
    Server,
    SkipRetry,
    SyncClient,
    Task,
    TaskState,
)
from asynq_py.testing import Rehearsal
from asynq_py.testing.trouble import WorkerLost

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Diary:
    """A mux whose handlers note what they did, and when by the clock of the rehearsal."""

    def __init__(self) -> None:
        self.mux = ServeMux()
        self.notes: list[Any] = []
        self.mux.handle("note", self.note)
        self.mux.handle("chain", self.chain)
        self.mux.handle("sleep", self.sleep)
        self.mux.handle("plain", self.plain)
        self.stage: Rehearsal | None = None

    @property
    def on(self) -> Rehearsal:
        assert self.stage is not None
        return self.stage

    async def note(self, task: ActiveTask) -> None:
        self.notes.append((task.json(), (self.on.now - NOON).total_seconds()))

    async def chain(self, task: ActiveTask) -> None:
        left = task.json()
        self.notes.append(left)
        if left:
            await self.on.client.enqueue(Task("chain", left - 1))

    async def sleep(self, task: ActiveTask) -> None:
        seconds = task.json()
        await asyncio.sleep(seconds)
        self.notes.append((f"slept {seconds}", (self.on.now - NOON).total_seconds()))

    def plain(self, task: ActiveTask) -> None:
        self.notes.append(threading.current_thread() is not threading.main_thread())


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
async def t(diary: Diary) -> AsyncGenerator[Rehearsal]:
    async with Rehearsal(diary.mux, now=NOON, retry_delay=lambda n, error, task: 10.0 * (n + 1)) as t:
        diary.stage = t
        yield t


# -- running ---------------------------------------------------------------------------------------------


async def test_nothing_runs_before_the_test_says_so(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue(Task("note", 1))
    assert diary.notes == []
    assert t.ran == []

    (ran,) = await t.run_until_idle()

    assert diary.notes == [(1, 0.0)]
    assert (ran.type, ran.queue, ran.payload, ran.retried) == ("note", "default", b"1", 0)
    assert (ran.error, ran.state, ran.at) == (None, None, NOON)
    assert t.ran == [ran]


async def test_what_tasks_enqueue_runs_as_well(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue(Task("chain", 3))
    assert len(await t.run_until_idle()) == 4
    assert diary.notes == [3, 2, 1, 0]
    assert await t.run_until_idle() == []


async def test_what_is_due_later_does_not_run_until_idle(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue(Task("note", 1), process_in=60)
    assert await t.run_until_idle() == []
    assert t.now == NOON


async def test_a_plain_function_runs_in_a_thread(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue(Task("plain"))
    await t.run_until_idle()
    assert diary.notes == [True]


async def test_what_another_client_enqueues_runs_and_is_known_by_then(t: Rehearsal, diary: Diary) -> None:
    def elsewhere() -> None:
        with SyncClient(t.redis) as client:
            client.enqueue(Task("note", 2))

    await asyncio.to_thread(elsewhere)
    t.assert_not_enqueued("note")
    await t.run_until_idle()
    t.assert_enqueued("note", payload=2, count=1)


async def test_a_kept_result_can_be_looked_at(t: Rehearsal) -> None:
    async def answer(task: ActiveTask) -> None:
        await task.write_result(b"42")

    t.stub("ask", answer)
    info = await t.client.enqueue(Task("ask"), retention=60)
    (ran,) = await t.run_until_idle()
    assert ran.state is TaskState.COMPLETED
    assert (await t.inspector.task_info("default", info.id)).result == b"42"

    await t.advance("2m")  # and is forgotten in time
    assert [info async for info in t.inspector.tasks("default", TaskState.COMPLETED)] == []


async def test_more_tasks_than_slots_all_run(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue_many([Task("note", n) for n in range(150)])
    assert len(await t.run_until_idle()) == 150
    assert sorted(n for n, _ in diary.notes) == list(range(150))


async def test_a_task_that_waits_for_another_gets_it(t: Rehearsal, diary: Diary) -> None:
    done = asyncio.Event()

    async def parent(task: ActiveTask) -> None:
        await t.client.enqueue(Task("child"))
        await done.wait()

    async def child(task: ActiveTask) -> None:
        done.set()

    t.stub("parent", parent)
    t.stub("child", child)
    await t.client.enqueue(Task("parent"))
    assert [ran.type for ran in await t.run_until_idle()] == ["parent", "child"]


# -- time ------------------------------------------------------------------------------------------------


async def test_time_moves_only_by_what_it_is_told(t: Rehearsal) -> None:
    await t.advance(90)
    await t.advance(timedelta(minutes=1))
    await t.advance("1h30m 5s")
    assert t.now == NOON + timedelta(seconds=90 + 60 + 5405)
    await t.advance_to(NOON + timedelta(days=1))
    assert t.now == NOON + timedelta(days=1)


@pytest.mark.parametrize("span", ["", "1 hour", "h", "-5s", -1, float("nan"), "5s x"])
async def test_a_span_that_means_nothing_is_told(t: Rehearsal, span: Any) -> None:
    with pytest.raises(InvalidOptionError, match="by"):
        await t.advance(span)


async def test_time_never_goes_back(t: Rehearsal) -> None:
    await t.advance(10)
    with pytest.raises(InvalidOptionError):
        await t.advance_to(NOON)
    with pytest.raises(InvalidOptionError, match="time zone"):
        await t.advance_to(datetime(2027, 1, 1))


async def test_delayed_tasks_run_each_at_its_time(t: Rehearsal, diary: Diary) -> None:
    for delay in (30, 10, 20, 4000):
        await t.client.enqueue(Task("note", delay), process_in=delay)
    await t.advance("1m")
    assert diary.notes == [(10, 10.0), (20, 20.0), (30, 30.0)]
    assert t.now == NOON + timedelta(minutes=1)


async def test_a_failing_task_is_tried_again_at_its_times_and_then_works(t: Rehearsal, diary: Diary) -> None:
    t.failing("note", ConnectionError, times=2)
    await t.client.enqueue(Task("note", 7))

    (first,) = await t.run_until_idle()
    assert isinstance(first.error, ConnectionError)
    assert first.state is TaskState.RETRY
    assert await t.run_until_idle() == []

    second, third = await t.advance("24h")
    assert [ran.retried for ran in (first, second, third)] == [0, 1, 2]
    assert [(ran.at - NOON).total_seconds() for ran in (second, third)] == [10, 30]
    assert (second.state, third.state, third.error) == (TaskState.RETRY, None, None)
    assert diary.notes == [(7, 30.0)]


async def test_a_task_that_fails_for_good_is_archived_with_its_error(t: Rehearsal) -> None:
    t.failing("note", ValueError("no such user"), times=None)
    await t.client.enqueue(Task("note"), max_retry=3)
    assert len(await t.advance("24h")) == 4
    (info,) = await t.archived("note")
    assert info.last_error == "ValueError: no such user"
    assert await t.archived("other") == []
    assert t.runs("note")[-1].state is TaskState.ARCHIVED


@pytest.mark.parametrize(
    ("wish", "state"),
    [(SkipRetry("no"), TaskState.ARCHIVED), (RevokeTask("no"), None), (RetryLater(5), TaskState.SCHEDULED)],
)
async def test_what_a_handler_wishes_is_seen(t: Rehearsal, wish: Exception, state: TaskState | None) -> None:
    t.failing("note", wish)
    await t.client.enqueue(Task("note", 1))
    (ran,) = await t.run_until_idle()
    assert ran.error is wish
    assert ran.state in (state, TaskState.RETRY if state is TaskState.SCHEDULED else state)


async def test_a_task_that_sleeps_costs_no_time(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue(Task("sleep", 600))
    await t.client.enqueue(Task("note", 7), process_in=60)
    began = asyncio.get_running_loop().time()
    await t.run_until_idle()
    assert asyncio.get_running_loop().time() - began < 60
    assert diary.notes == [(7, 60.0), ("slept 600", 600.0)]
    assert t.now == NOON + timedelta(seconds=600)


async def test_a_task_sleeps_on_while_time_does_not_move_so_far(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue(Task("sleep", 100))
    await t.advance(99)
    assert diary.notes == []
    await t.advance(1)
    assert diary.notes == [("slept 100", 100.0)]


async def test_a_task_that_sleeps_for_hours_keeps_its_lease(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue(Task("sleep", 7200), timeout=10_000)
    (ran,) = await t.advance("3h")
    assert ran.error is None
    assert diary.notes == [("slept 7200", 7200.0)]


async def test_a_timeout_comes_at_its_time(t: Rehearsal, diary: Diary) -> None:
    await t.client.enqueue(Task("sleep", 6000), timeout=30, max_retry=0)
    (ran,) = await t.advance(29)
    assert ran.error is None
    await t.advance(1)
    assert isinstance(ran.error, TimeoutError)
    (info,) = await t.archived()
    assert info.last_error == "TimeoutError: not done within 30 s"
    assert info.last_failed_at == NOON + timedelta(seconds=30)
    assert diary.notes == []


async def test_a_timeout_inside_a_task_counts_by_the_same_clock(t: Rehearsal) -> None:
    seen: list[float | str] = []

    async def impatient(task: ActiveTask) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(60)
        seen.append(loop.time() - began)
        loop.call_later(2, seen.append, "called")
        await asyncio.sleep(3)

    t.stub("impatient", impatient)
    await t.client.enqueue(Task("impatient"))
    await t.run_until_idle()
    assert seen == [5.0, "called"]
    assert t.now == NOON + timedelta(seconds=8)


async def test_the_clock_of_the_test_itself_is_left_alone(t: Rehearsal) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await t.advance("1h")
    await asyncio.sleep(0.001)
    assert 0 < loop.time() - before < 1800


async def test_the_loop_is_as_before_when_the_rehearsal_is_over(diary: Diary) -> None:
    loop = vars(asyncio.get_running_loop())
    async with Rehearsal(diary.mux):
        outer = loop["call_at"]
        async with Rehearsal(diary.mux):
            assert loop["call_at"] is not outer
        assert loop["call_at"] is outer
    assert not {"time", "call_at", "call_later"} & loop.keys()


async def test_a_lost_worker_costs_the_time_of_its_lease_and_no_retry(t: Rehearsal, diary: Diary) -> None:
    t.crashing("note")
    await t.client.enqueue(Task("note", 1))
    (lost,) = await t.run_until_idle()
    assert isinstance(lost.error, WorkerLost)
    assert lost.state is TaskState.ACTIVE

    assert await t.advance(34) == []
    (again,) = await t.advance(10)
    assert again.retried == 0
    ((_, after),) = diary.notes
    assert 35 <= after < 36  # lease and skew; the fraction is the token's


async def test_unique_locks_end_as_time_goes(t: Rehearsal) -> None:
    await t.inspector.pause_queue("default")
    task = Task("note", 1, unique=3600)
    await t.client.enqueue(task)
    await t.advance("59m")
    with pytest.raises(DuplicateTaskError):
        await t.client.enqueue(task)
    await t.advance("2m")
    await t.client.enqueue(task)
    t.assert_enqueued(task, count=2)


async def test_entries_of_the_scheduler_come_at_their_times(t: Rehearsal, diary: Diary) -> None:
    t.scheduler.register("0 9,18 * * *", Task("note", 9))
    await t.run_until_idle()
    await t.advance("24h")
    assert diary.notes == [(9, 6 * 3600.0), (9, 21 * 3600.0)]
    t.assert_enqueued("note", payload=9, count=2)


async def test_cron_follows_the_zone_over_the_change_of_its_clocks(diary: Diary) -> None:
    begin = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the night in which Paris goes from UTC+1 to UTC+2
    async with Rehearsal(diary.mux, now=begin) as t:
        diary.stage = t
        t.scheduler.register("0 9 * * *", Task("note", 1), timezone="Europe/Paris")
        await t.advance("48h")
        assert [ran.at.hour for ran in t.ran] == [7, 7]


async def test_a_group_is_aggregated_when_its_grace_period_is_over(diary: Diary) -> None:
    def together(group: str, tasks: list[Task]) -> Task:
        return Task("note", [group, len(tasks)])

    async with Rehearsal(
        diary.mux, now=NOON, group_aggregator=together, group_grace_period=60, group_max_delay=600
    ) as t:
        diary.stage = t
        await t.client.enqueue(Task("mail", 1), group="g")
        await t.advance(50)
        await t.client.enqueue(Task("mail", 2), group="g")
        await t.advance(59)
        assert diary.notes == []
        await t.advance("5m")
        assert diary.notes == [(["g", 2], 110.0)]

        for _ in range(20):  # none is quiet for long, but the first has waited long enough
            await t.client.enqueue(Task("mail", 1), group="g")
            await t.advance(50)
        assert diary.notes[1:] == [(["g", 12], 409.0 + 600)]


# -- what goes wrong -------------------------------------------------------------------------------------


async def test_a_task_that_waits_for_anything_but_time_is_told(diary: Diary) -> None:
    async def hang(task: ActiveTask) -> None:
        await asyncio.Event().wait()

    async with Rehearsal(hang, now=NOON, patience=0.05) as t:
        info = await t.client.enqueue(Task("hang"), timeout=30, max_retry=0)
        with pytest.raises(AssertionError, match=f"no end of hang {info.id}"):
            await t.run_until_idle()
        await t.advance("1m")  # its timeout, however, comes
        assert isinstance(t.ran[0].error, TimeoutError)
        assert len(await t.archived()) == 1


async def test_tasks_without_end_are_told(t: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asynq_py.testing.rehearsal.ROUNDS", 5)
    t.failing("note", RetryLater(0), times=None)
    await t.client.enqueue(Task("note"))
    with pytest.raises(AssertionError, match="no end of work"):
        await t.run_until_idle()


async def test_a_task_cannot_move_the_time_it_runs_in(t: Rehearsal) -> None:
    async def meddle(task: ActiveTask) -> None:
        await t.advance(1)

    t.stub("meddle", meddle)
    await t.client.enqueue(Task("meddle"), max_retry=0)
    (ran,) = await t.run_until_idle()
    assert isinstance(ran.error, AsynqError)


async def test_it_is_of_use_only_inside_its_block(diary: Diary) -> None:
    t = Rehearsal(diary.mux)
    with pytest.raises(AsynqError, match="async with"):
        await t.run_until_idle()


async def test_a_task_that_still_sleeps_at_the_end_is_cancelled(diary: Diary) -> None:
    ended: list[str] = []

    async def forever(task: ActiveTask) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("cancelled")

    async with Rehearsal(forever) as t:
        await t.client.enqueue(Task("x"))
        await t.advance(1)
        assert ended == []
    assert ended == ["cancelled"]


# -- where it plays --------------------------------------------------------------------------------------


async def test_each_begins_with_an_empty_database_of_its_own(diary: Diary) -> None:
    async with Rehearsal(diary.mux) as one, Rehearsal(diary.mux) as other:
        diary.stage = other
        await one.client.enqueue(Task("note", 1))
        assert await other.run_until_idle() == []
        assert one.redis != other.redis
    async with Rehearsal(diary.mux) as again:
        diary.stage = again
        assert await again.run_until_idle() == []


async def test_a_server_is_played_as_it_is(diary: Diary) -> None:
    server = Server("redis://nowhere", diary.mux, queues=["images"], retry_delay=lambda n, e, t: 5)
    async with Rehearsal(server, now=NOON, concurrency=1) as t:
        diary.stage = t
        t.failing("note")
        await t.client.enqueue(Task("note", 1), queue="images")
        await t.client.enqueue(Task("note", 2))  # a queue that it does not serve
        await t.advance("1m")
        assert diary.notes == [(1, 5.0)]


async def test_a_cluster_cannot_be_rehearsed_on(diary: Diary) -> None:
    with pytest.raises(InvalidOptionError, match=r"^redis='a Cluster' is not allowed: one server"):
        async with Rehearsal(diary.mux, "redis-cluster://localhost:1"):
            pass


async def test_a_given_redis_must_be_empty(redis_url: str, diary: Diary) -> None:
    async with Client(redis_url) as client:
        await client.enqueue(Task("note", 1))
    with pytest.raises(AsynqError, match="must be empty"):
        async with Rehearsal(diary.mux, redis_url):
            pass
    async with Rehearsal(diary.mux, redis_url, flush=True) as t:
        diary.stage = t
        assert await t.run_until_idle() == []
        await t.client.enqueue(Task("note", 1))
        assert len(await t.run_until_idle()) == 1
