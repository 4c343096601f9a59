"""How far a task has come: reported as often as it likes, written now and then, told to whoever asks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from asynq_py import App, Progress, Server, TaskState, current_task
from asynq_py.server import reporter
from tests.app.test_app import serving
from tests.eventually import eventually


class Written:
    """Counts what reaches Redis, by what others see there."""

    def __init__(self, redis: Redis, task_id: str) -> None:
        self._redis = redis
        self._key = f"asynq:{{default}}:t:{task_id}"

    async def __call__(self) -> str:
        return str(await self._redis.hget(self._key, "progress"))


def told(progress: Progress | None) -> tuple[float, float | None, str | None] | None:
    return None if progress is None else (progress.done, progress.total, progress.note)


@pytest.mark.parametrize("is_plain", [False, True])
async def test_a_report_can_be_seen_while_the_task_runs_and_the_last_one_after(
    redis_url: str, is_plain: bool
) -> None:
    app = App(redis_url, retention=60)
    go_on, go_on_there = asyncio.Event(), threading.Event()

    async def work() -> None:
        current_task().progress(1, 3, "first")
        await go_on.wait()
        current_task().progress(2, 3)
        current_task().progress(3, 3, "last")

    def plain_work() -> None:
        current_task().progress(1, 3, "first")
        assert go_on_there.wait(20)
        current_task().progress(2, 3)
        current_task().progress(3, 3, "last")

    task = app.task(plain_work if is_plain else work)
    async with app, serving(app):
        handle = await task.enqueue()
        seen = await eventually(handle.progress, lambda progress: progress is not None)
        assert told(seen) == (1, 3, "first")
        go_on.set()
        go_on_there.set()
        await handle.result(timeout=10)
        assert told(await handle.progress()) == (3, 3, "last")
        assert told((await app.inspector.task_info("default", handle.id)).progress) == (3, 3, "last")


async def test_what_was_reported_last_is_written_although_nothing_follows(redis_url: str) -> None:
    app, go_on = App(redis_url, retention=60), asyncio.Event()

    @app.task
    async def work() -> None:
        current_task().progress(1)
        current_task().progress(2)
        await go_on.wait()

    async with app, serving(app):
        handle = await work.enqueue()
        await eventually(handle.progress, lambda progress: told(progress) == (2, None, None))
        go_on.set()
        await handle.result(timeout=10)


async def test_a_new_try_begins_with_none_and_a_failed_one_leaves_its_own(redis_url: str) -> None:
    app, begun, go_on = App(redis_url, retention=60), asyncio.Event(), asyncio.Event()

    @app.task(max_retry=1)
    async def work() -> None:
        if current_task().retried == 0:
            current_task().progress(3, 10)
            raise ValueError
        begun.set()
        await go_on.wait()

    async with app, app.server(poll_interval=0.05, forward_interval=0.05, retry_delay=lambda *_: 3600):
        handle = await work.enqueue()
        await eventually(handle.status, lambda state: state is TaskState.RETRY)
        assert told(await handle.progress()) == (3, 10, None)
        await app.inspector.run_task("default", handle.id)
        await asyncio.wait_for(begun.wait(), 20)
        assert await handle.status() is TaskState.ACTIVE
        assert await handle.progress() is None
        go_on.set()
        await handle.result(timeout=10)
        assert await handle.progress() is None  # nor does its end bring back that of the first


async def test_who_has_lost_the_task_writes_nothing_and_hears_nothing(redis_url: str, redis: Redis) -> None:
    app, begun, go_on, ended = App(redis_url), asyncio.Event(), asyncio.Event(), asyncio.Event()

    @app.task
    async def work() -> None:
        begun.set()
        await go_on.wait()
        current_task().progress(1)
        ended.set()

    async with app, serving(app):
        handle = await work.enqueue()
        await asyncio.wait_for(begun.wait(), 20)
        await redis.zadd("asynq:{default}:lease", {handle.id: 4102444800.000001})  # somebody else took it
        go_on.set()
        await asyncio.wait_for(ended.wait(), 20)
    assert await Written(redis, handle.id)() == "None"


async def test_a_redis_that_is_away_costs_the_report_and_not_the_task(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "PATIENCE", 0.05)
    monkeypatch.setattr("asynq_py.broker.broker.Broker.write_progress", _never)
    app = App(redis_url, retention=60)

    @app.task
    async def work() -> str:
        current_task().progress(1)
        return "done"

    async with app, serving(app):
        assert await (await work.enqueue()).result(timeout=10) == "done"


async def _never(*_: object) -> bool:
    await asyncio.Event().wait()
    return True


async def test_a_core_handler_reports_too_and_a_wrong_number_fails_its_try(redis_url: str) -> None:
    app, seen = App(redis_url), list[str]()

    @app.task(max_retry=0)
    async def work() -> None:
        current_task().progress(-1)

    async with app, Server(redis_url, app.mux(), poll_interval=0.05, error_handler=_note(seen)):
        await work.enqueue()
        await eventually(_read(seen))
    assert seen == ["done=-1 is not allowed: a number, zero or more"]


def _note(seen: list[str]) -> Callable[[object, BaseException], None]:
    return lambda _, error: seen.append(str(error))


def _read(seen: list[str]) -> Callable[[], asyncio.Future[list[str]]]:
    async def read() -> list[str]:
        return seen

    return read  # type: ignore[return-value]  # awaited, that is all


async def test_reports_of_many_threads_at_once_end_with_the_last(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    def work() -> None:
        task = current_task()

        def count() -> None:
            for done in range(200):
                task.progress(done)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        task.progress(1000)

    async with app, serving(app):
        handle = await work.enqueue()
        await handle.result(timeout=10)
        assert told(await handle.progress()) == (1000, None, None)
