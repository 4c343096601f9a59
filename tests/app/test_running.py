"""Workers check what they are given: what does not fit is put aside with a reason, what is unknown waits."""

from __future__ import annotations

import asyncio
import functools
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from asynq_py import (
    ActiveTask,
    App,
    AsyncHandler,
    Client,
    Inspector,
    RetryLater,
    ServeMux,
    Server,
    Task,
    TaskInfo,
    TaskState,
)
from tests.app import places
from tests.app.test_app import serving
from tests.eventually import eventually

PATIENCE = 100.0  # seconds: a busy machine takes long to start a process
SLOW = pytest.mark.timeout(4 * PATIENCE)


async def state_of(inspector: Inspector, info: TaskInfo, state: TaskState) -> TaskInfo:
    return await eventually(
        lambda: inspector.task_info(info.queue, info.id), lambda seen: seen.state is state
    )


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b'{"n":"secret"}', "n: expected int, got str"),
        (b'{"n":1,"colour":"red"}', "colour: there is no such argument; it takes n"),
        (b"{}", "n: missing"),
        (b"", "n: missing"),
        (b"\xff", "the payload is no JSON"),
    ],
)
async def test_a_payload_that_does_not_fit_is_archived_at_once(
    redis_url: str, client: Client, payload: bytes, problem: str
) -> None:
    app = App(redis_url)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    info = await client.enqueue(Task("double", payload))
    async with app, serving(app):
        seen = await state_of(app.inspector, info, TaskState.ARCHIVED)
    assert seen.last_error == f"the payload does not fit: double: {problem}"
    assert seen.retried == 0


async def test_an_error_of_the_function_itself_is_retried(redis_url: str) -> None:
    app = App(redis_url, retention=60)
    tries = []

    @app.task
    async def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise TypeError("its own")
        return "done"

    async with app, serving(app):
        handle = await flaky.enqueue()
        assert await handle.result(timeout=10) == "done"
        assert (await handle.info()).retried == 2


async def test_a_result_that_does_not_fit_is_told(redis_url: str) -> None:
    app = App(redis_url)

    @app.task
    async def lie() -> int:
        return "three"  # type: ignore[return-value]  # that is the point

    async with app, serving(app):
        kept = await (await lie.options(retention=60).enqueue()).info()
        seen = await state_of(app.inspector, kept, TaskState.ARCHIVED)
        await lie.enqueue()  # without retention nobody looks at it
        assert seen.last_error == "the result does not fit: lie: return: expected int, got str"
        await eventually(lambda: app.inspector.queue_info("default"), lambda queue: queue.size == 1)


async def test_a_task_of_an_old_name_runs(redis_url: str, client: Client) -> None:
    app = App(redis_url, prefix="new")

    @app.task(aliases=["old:double"])
    async def double(n: int) -> int:
        return 2 * n

    info = await client.enqueue(Task("old:double", {"n": 4}), retention=60)
    async with app, serving(app):
        assert await double.handle(info.id).result(timeout=10) == 8


async def test_middleware_sees_a_parked_task_put_off_and_not_fail(redis_url: str) -> None:
    app = App(redis_url)
    seen: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def watch(task: ActiveTask, call_next: AsyncHandler) -> None:
        try:
            await call_next(task)
        except Exception as error:
            if not seen.done():
                seen.set_result(error)
            raise

    app.use(watch)
    async with app, app.server(poll_interval=0.05), asyncio.timeout(20):
        await app.client.enqueue(Task("unknown"), max_retry=0)
        assert isinstance(await seen, RetryLater)


@pytest.mark.parametrize("task_type", ["unknown", "double_or_nothing"])
async def test_a_task_of_an_unknown_type_waits_and_is_reported(
    redis_url: str, client: Client, caplog: pytest.LogCaptureFixture, task_type: str
) -> None:
    app = App(redis_url)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    info = await client.enqueue(Task(task_type, {"n": 4}), max_retry=0)
    async with app, serving(app):
        seen = await state_of(app.inspector, info, TaskState.RETRY)
        assert seen.retried == 0
        assert seen.last_error is not None
        assert f"parked: no task of the app has the type {task_type!r}" in seen.last_error
        assert seen.next_process_at is not None
        assert 30 < (seen.next_process_at - datetime.now(UTC)).total_seconds() <= 61
    assert f"no task of this app has the type {task_type!r}" in caplog.text


async def test_typed_tasks_stand_beside_other_handlers(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    mux: ServeMux = app.mux()

    @mux.handler("core:")
    async def core(task: ActiveTask) -> None:
        await task.write_result(task.payload)

    async with app, Server(redis_url, mux):
        assert await (await double.enqueue(4)).result(timeout=10) == 8
        info = await app.client.enqueue(Task("core:t", [1]), retention=60)
        seen = await state_of(app.inspector, info, TaskState.COMPLETED)
    assert seen.result == b"[1]"


async def test_a_plain_function_runs_in_a_thread(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task(executor="thread")
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    async with app, serving(app):
        assert await (await where.enqueue()).result(timeout=10) is False


@SLOW
async def test_a_function_in_a_process_is_killed_at_its_timeout(redis_url: str, tmp_path: Path) -> None:
    app = App("redis://nowhere.invalid", retention=60)
    spin = app.task(executor="process", timeout=300, max_retry=0)(_function(places.spin))
    started = tmp_path / "pid"

    async with app.test(redis_url, patience=0.1) as t:
        handle = await spin.enqueue(str(started))
        await t.advance(1)
        pid = await eventually(lambda: _pid(started), within=PATIENCE)
        await t.advance("5m")

        async def ended() -> TaskInfo:
            await t.advance(0)
            info: TaskInfo = await handle.info()
            return info

        seen = await eventually(ended, lambda info: info.state is TaskState.ARCHIVED, within=PATIENCE)
    assert seen.last_error == "TimeoutError: not done within 300 s"
    assert not _is_alive(pid)


@SLOW
async def test_a_function_in_a_process_is_killed_when_its_task_is_cancelled(
    redis_url: str, tmp_path: Path
) -> None:
    app = App(redis_url, retention=60, max_retry=0)
    spin = app.task(executor="process")(_function(places.spin))
    later = app.task(executor="process")(_function(places.later))
    started = tmp_path / "pid"

    at = datetime(2026, 1, 2, tzinfo=UTC)
    async with app, serving(app):
        handle = await spin.enqueue(str(started))
        pid = await eventually(lambda: _pid(started), within=PATIENCE)

        async def cancelled() -> TaskInfo:
            await handle.cancel()  # again and again: a server that does not listen yet would not hear of it
            info: TaskInfo = await handle.info()
            return info

        await eventually(cancelled, lambda info: info.state is TaskState.ARCHIVED, within=PATIENCE)
        assert not _is_alive(pid)
        assert await (await later.enqueue(at, 3)).result(timeout=PATIENCE) == at.replace(day=5)


async def _pid(file: Path) -> int:
    text = file.read_text("ascii") if file.exists() else ""
    return int(text or 0)


def _is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def _function(task: Any) -> Any:
    return task.declaration.function


async def test_what_a_function_returns_to_be_awaited_is_awaited() -> None:
    app, done = App("redis://127.0.0.1:1/0"), list[int]()

    async def add(n: int) -> int:
        await asyncio.sleep(0)
        done.append(n)
        return n + 1

    @app.task(retention=60)
    @functools.wraps(add)
    def plain(n: int) -> Any:
        return add(n)

    @app.task(retention=60)
    async def forgotten(n: int) -> Any:
        return add(n)

    @app.task
    async def without_result(n: int) -> Any:
        return add(n)

    async with app.test() as t:
        assert await (await plain.enqueue(1)).result() == 2
        assert await (await forgotten.enqueue(2)).result() == 3
        await without_result.enqueue(3)
        assert [ran.error for ran in await t.run_until_idle()] == [None]
    assert done == [1, 2, 3]
