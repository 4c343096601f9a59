"""Unique rules of typed tasks, from end to end."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import (
    App,
    Client,
    DuplicateTaskError,
    EnqueueError,
    InvalidOptionError,
    PayloadError,
    Task,
    TaskHandle,
    TaskNotFoundError,
    TaskState,
    current_task,
)
from asynq_py.unique import RuledTask, UniqueRule
from asynq_py.wire.keys import QueueKeys
from tests.app.test_app import serving
from tests.clock import ManualClock
from tests.eventually import eventually

AWAY = "redis://127.0.0.1:1/0"


def lock_of(task_type: str, key: str = "1") -> str:
    return QueueKeys("default").unique_by(task_type, key)


def test_a_task_carries_its_rule_wherever_it_goes() -> None:
    app = App(AWAY, unique=60)

    @app.task(unique_key="{user_id}", unique_until="end", on_conflict="skip")
    async def sync(user_id: int, *, force: bool = False) -> None: ...

    rule = UniqueRule("7", "end", "skip")
    task = sync.task(7, force=True)
    for same in (task, pickle.loads(pickle.dumps(task)), task.with_headers({"a": "b"}).with_headers({})):
        assert isinstance(same, RuledTask)
        assert same.rule == rule
        assert same.options.unique == 60
    assert hash(task) == hash(sync.task(7, force=True))
    assert task != sync.options(on_conflict="return").task(7, force=True)
    other = sync.options(unique_key=lambda force: force, unique=90).task(7)
    assert isinstance(other, RuledTask)
    assert (other.rule.key, other.rule.until, other.options.unique) == ("false", "end", 90)


def test_a_lock_lasts_a_day_where_nobody_says_and_plain_ones_have_no_rule() -> None:
    app = App(AWAY)

    @app.task
    async def sync(user_id: int) -> None: ...

    assert sync.options(on_conflict="skip").task(1).options.unique == 24 * 3600
    assert type(sync.options(unique=5).task(1)) is Task


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"unique_key": "{nobody}"}, "unique_key"),
        ({"unique_key": lambda given: given}, "unique_key"),
        ({"unique_key": 5}, "unique_key"),
        ({"unique_until": "never"}, "unique_until"),
        ({"on_conflict": "wait"}, "on_conflict"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_where_it_is_declared(
    options: dict[str, Any], option: str
) -> None:
    app = App(AWAY)

    async def sync(user_id: int) -> None: ...

    with pytest.raises(InvalidOptionError) as caught:
        app.task(**options)(sync)
    assert caught.value.option == option
    with pytest.raises(InvalidOptionError):
        app.task(sync).options(**options)


def test_a_lock_that_could_not_be_renewed_in_time_or_has_no_time_is_refused() -> None:
    app = App(AWAY)

    @app.task
    async def sync(user_id: int) -> None: ...

    with pytest.raises(InvalidOptionError, match="10 or more seconds"):
        sync.options(unique=5, unique_until="success").task(1)
    assert sync.options(unique=5, unique_until="start").task(1).options.unique == 5
    with pytest.raises(InvalidOptionError, match="with `unique`, which says how long"):
        sync.options(unique_until="ttl").task(1)
    with pytest.raises(InvalidOptionError, match="no step of a flow"):
        sync.options(unique_key="{user_id}").step(1)
    with pytest.raises(PayloadError):
        sync.options(unique_key="{user_id.nothing}").task(1)


async def test_the_key_decides_which_are_the_same(redis_url: str) -> None:
    app = App(redis_url)

    @app.task(unique_key="{user_id}")
    async def sync(user_id: int, *, reason: str = "") -> None: ...

    async with app:
        first = await sync.enqueue(1, reason="a")
        await sync.enqueue(2)
        with pytest.raises(DuplicateTaskError, match="of this type and key") as caught:
            await sync.enqueue(1, reason="b")
        assert caught.value.held_by == first.id
        await sync.options(unique_key=None, queue="other").enqueue(1)  # another queue is another lock


async def test_one_that_is_kept_off_is_skipped_or_the_other_is_returned(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task(unique_key="{n}", on_conflict="return")
    async def double(n: int, *, why: str = "") -> int:
        return 2 * n

    async with app:
        first = await double.enqueue(4)
        same = await double.enqueue(4, why="other")
        skipped = await double.options(on_conflict="skip").enqueue(4)
        assert (first.is_new, same.is_new, skipped.is_new) == (True, False, False)
        assert first.id == same.id == skipped.id
        answers = await double.enqueue_many([double.task(4), double.task(5), double.task(5)])
        fresh = _told(answers[1])[0]
        assert [_told(answer) for answer in answers] == [(first.id, False), (fresh, True), (fresh, False)]
        of_app = await app.enqueue_many([double.task(4), double.options(on_conflict="raise").task(4)])
        assert _told(of_app[0]) == (first.id, False)
        assert isinstance(of_app[1], DuplicateTaskError)
        async with serving(app):
            assert await same.result(timeout=10) == 8


def _told(answer: TaskHandle[Any] | EnqueueError) -> tuple[str, bool]:
    assert isinstance(answer, TaskHandle)
    return answer.id, answer.is_new


async def test_the_later_one_takes_the_place_of_one_that_waits(redis_url: str) -> None:
    app = App(redis_url, retention=60)
    ran: list[str] = []

    @app.task(unique_key="{n}", on_conflict="replace")
    async def save(n: int, text: str) -> None:
        ran.append(text)

    async with app:
        first = await save.options(process_in=3600).enqueue(1, "first")
        second = await save.options(process_in=3600).enqueue(1, "second")
        last = await save.enqueue(1, "last")
        for gone in (first, second):
            with pytest.raises(TaskNotFoundError):
                await gone.status()
        async with serving(app):
            await last.result(timeout=10)
    assert ran == ["last"]


async def test_one_that_runs_is_not_replaced(redis_url: str) -> None:
    app, begun, go_on = App(redis_url, retention=60), asyncio.Event(), asyncio.Event()

    @app.task(unique_key="{n}", on_conflict="replace")
    async def save(n: int) -> None:
        begun.set()
        await go_on.wait()

    async with app, serving(app):
        running = await save.enqueue(1)
        await asyncio.wait_for(begun.wait(), 20)
        with pytest.raises(DuplicateTaskError) as caught:
            await save.enqueue(1)
        assert caught.value.held_by == running.id
        go_on.set()
        await running.result(timeout=10)
        await save.enqueue(1)


async def test_until_its_start_one_may_wait_while_one_runs(redis_url: str) -> None:
    app, begun, go_on = App(redis_url, retention=60), asyncio.Event(), asyncio.Event()

    @app.task(unique_key="{n}", unique_until="start", on_conflict="skip")
    async def rebuild(n: int) -> str:
        begun.set()
        await go_on.wait()
        return current_task().id

    async with app, serving(app):
        running = await rebuild.enqueue(1)
        await asyncio.wait_for(begun.wait(), 20)
        waiting = await rebuild.options(process_in=3600).enqueue(1)
        assert waiting.is_new
        assert (await rebuild.enqueue(1)).id == waiting.id
        go_on.set()
        assert await running.result(timeout=10) == running.id
        assert (await rebuild.enqueue(1)).id == waiting.id  # the end of the first did not free its lock


@pytest.mark.parametrize(("until", "is_free"), [("success", False), ("end", True)])
async def test_one_in_the_archive_keeps_others_off_or_not(redis_url: str, until: Any, is_free: bool) -> None:
    app = App(redis_url)

    @app.task(unique_key="{n}", unique_until=until, on_conflict="return", max_retry=0)
    async def fail(n: int) -> None:
        raise ValueError

    async with app:
        async with serving(app):
            first = await fail.enqueue(1)
            await eventually(first.status, lambda state: state is TaskState.ARCHIVED)
        assert (await fail.enqueue(1)).is_new is is_free


async def test_for_its_whole_time_it_keeps_others_off_although_it_is_long_done(
    redis_url: str, redis: Redis
) -> None:
    app = App(redis_url)

    @app.task(unique=3600, unique_key="{n}", unique_until="ttl", on_conflict="skip")
    async def remind(n: int) -> None: ...

    async with app:
        async with serving(app):
            await remind.enqueue(1)
            await eventually(lambda: app.inspector.queue_info("default"), lambda queue: queue.processed == 1)
        skipped = await remind.enqueue(1)
        assert not skipped.is_new
        with pytest.raises(TaskNotFoundError):
            await skipped.status()
        with pytest.raises(DuplicateTaskError) as caught:  # there is none to return any more
            await remind.options(on_conflict="return").enqueue(1)
        assert caught.value.held_by is None
        await redis.delete(lock_of("remind"))
        assert (await remind.enqueue(1)).is_new


async def test_a_lock_by_payload_is_the_one_that_clients_in_go_take(
    redis_url: str, client: Client, redis: Redis
) -> None:
    app = App(redis_url)

    @app.task(unique_until="end", on_conflict="return")
    async def sync(n: int) -> None: ...

    async with app:
        info = await client.enqueue(sync.task(1).with_options())
        with pytest.raises(DuplicateTaskError):
            await client.enqueue(Task("sync", {"n": 1}), unique=60)
        assert (await sync.enqueue(1)).id == info.id
        assert await redis.get("asynq:{default}:unique:sync:" + _md5(b'{"n":1}')) == info.id.encode()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


async def test_the_lock_of_a_delayed_task_lasts_from_when_it_is_due(redis_url: str, redis: Redis) -> None:
    app = App(redis_url)

    @app.task(unique=60, unique_key="{n}")
    async def sync(n: int) -> None: ...

    async with app:
        await sync.options(process_at=datetime.now(UTC) + timedelta(hours=1)).enqueue(1)
    assert 3600 < await redis.ttl(lock_of("sync")) <= 3660


async def test_a_long_task_keeps_its_lock(redis_url: str, redis: Redis) -> None:
    app, begun, go_on = App(redis_url, retention=60), asyncio.Event(), asyncio.Event()

    @app.task(unique=3600, unique_key="{n}")
    async def work(n: int) -> None:
        begun.set()
        await go_on.wait()

    async with app, app.server(poll_interval=0.05, lease=2):
        handle = await work.enqueue(1)
        await asyncio.wait_for(begun.wait(), 20)
        lock = lock_of("work")
        await redis.expire(lock, 60)

        async def left() -> int:
            return int(await redis.ttl(lock))

        await eventually(left, lambda seconds: seconds > 60)
        go_on.set()
        await handle.result(timeout=10)
        assert not await redis.exists(lock)


async def test_another_payload_keeps_the_lock_of_a_key(redis_url: str, redis: Redis) -> None:
    app = App(redis_url)

    @app.task(unique_key="{n}", on_conflict="return")
    async def work(n: int, text: str) -> None: ...

    async with app:
        handle = await work.options(process_in=3600).enqueue(1, "a")
        await app.inspector.update_task_payload("default", handle.id, {"n": 1, "text": "b"})
        assert (await work.enqueue(1, "c")).id == handle.id
        assert await redis.get(lock_of("work")) == handle.id.encode()


async def test_an_archived_task_of_an_entry_does_not_stop_its_next_times(
    redis_url: str, redis: Redis
) -> None:
    app, clock = App(redis_url), ManualClock(4102542240.0)

    @app.cron("@every 60s", unique_key="one", unique_until="end", max_retry=0)
    async def report() -> None: ...

    async def pending() -> int:
        return int(await redis.llen("asynq:{default}:pending"))

    async with app, app.scheduler(clock=clock) as scheduler:
        assert scheduler is not None
        for _ in range(2):
            clock.advance(60)
            await eventually(pending, lambda count: count == 1)
            (waiting,) = await app.inspector.list_pending("default")
            await app.inspector.archive_task("default", waiting.id)


async def test_until_the_end_of_its_time_one_that_waits_is_replaced_and_one_that_is_done_is_not(
    redis_url: str,
) -> None:
    app = App(redis_url)

    @app.task(unique=3600, unique_key="{n}", unique_until="ttl", on_conflict="replace", retention=3600)
    async def note(n: int, text: str) -> str:
        return text

    async with app:
        first = await note.enqueue(1, "a")
        second = await note.enqueue(1, "b")
        async with serving(app):
            assert await second.result(timeout=20) == "b"
        with pytest.raises(TaskNotFoundError):
            await first.info()
        with pytest.raises(DuplicateTaskError):
            await note.enqueue(1, "c")


@pytest.mark.parametrize(
    ("until", "is_free"), [("start", True), ("success", True), ("end", True), ("ttl", False)]
)
async def test_in_a_group_a_task_keeps_its_like_off_until_it_is_aggregated(
    redis_url: str, until: Any, is_free: bool
) -> None:
    app = App("redis://nowhere.invalid")

    @app.task(group="g", unique=3600, unique_key="{n}", unique_until=until)
    async def count(n: int, text: str) -> None: ...

    def aggregate(group: str, tasks: Sequence[Task]) -> Task:
        return Task("many", [task.payload.decode() for task in tasks if task.payload])

    async with app.test(redis_url, group_aggregator=aggregate, group_grace_period=60, flush=True) as t:
        await count.enqueue(1, "a")
        with pytest.raises(DuplicateTaskError):
            await count.enqueue(1, "b")
        await count.options(on_conflict="replace").enqueue(1, "c")
        t.stub(Task("many"), returns=None)
        await t.advance("2m")
        assert [ran.payload for ran in t.ran] == [b'["{\\"n\\":1,\\"text\\":\\"c\\"}"]']
        if is_free:
            await count.enqueue(1, "d")
        else:
            with pytest.raises(DuplicateTaskError):
                await count.enqueue(1, "d")
