"""`app.eager()`: tasks run where they are enqueued, without any server."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asynq_py import (
    ActiveTask,
    App,
    AsynqError,
    Depends,
    InvalidOptionError,
    PayloadError,
    RevokeTask,
    Task,
    TaskState,
    current_app_state,
    current_task,
)


def own_pid() -> int:
    return os.getpid()


@pytest.fixture
def app() -> App:
    return App("redis://nowhere.invalid", retention=60)


async def test_a_task_runs_where_it_is_enqueued_and_gives_its_value(app: App) -> None:
    @app.task
    async def add(a: int, b: int = 1) -> int:
        return a + b

    with app.eager() as eager:
        handle = await add.enqueue(1, b=2)
        assert await handle.result(timeout=1) == 3
        assert await handle.status() is TaskState.COMPLETED
        eager.assert_enqueued(add, a=1)
        eager.assert_not_enqueued(add, a=2)


async def test_arguments_come_by_way_of_the_payload(app: App) -> None:
    seen: list[Any] = []

    @app.task
    async def keep(pairs: tuple[int, ...], anything: Any) -> None:
        seen.extend([pairs, anything])

    with app.eager():
        await keep.enqueue((1, 2), (3, 4))
        assert seen == [(1, 2), [3, 4]]  # JSON has no tuples, and Any does not bring them back
        with pytest.raises(PayloadError):
            await keep.enqueue(("x",), None)  # type: ignore[arg-type]
        with pytest.raises(InvalidOptionError):
            await keep.options(queue="{}").enqueue((1,), None)


async def test_what_a_task_raises_is_raised_where_it_was_enqueued(app: App) -> None:
    @app.task
    async def fail() -> None:
        raise ConnectionError("no")

    with app.eager() as eager:
        with pytest.raises(ConnectionError, match="no"):
            await fail.enqueue()
        with pytest.raises(ConnectionError, match="no"):
            await app.enqueue_many([fail.task()])
        eager.assert_enqueued(fail, count=2)


async def test_a_result_of_another_type_is_found(app: App) -> None:
    @app.task
    async def lie() -> int:
        return "text"  # type: ignore[return-value]

    with app.eager(), pytest.raises(Exception, match="the result does not fit"):
        await lie.enqueue()


async def test_plain_functions_and_those_of_processes_run_in_the_thread_of_the_caller(app: App) -> None:
    @app.task
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    here = app.task(executor="process")(own_pid)
    with app.eager():
        assert await (await where.enqueue()).result() is True
        assert await (await here.enqueue()).result() == os.getpid()


async def test_tasks_may_enqueue_others_and_wait_for_them(app: App) -> None:
    @app.task
    async def child(n: int) -> int:
        assert current_task().type == "child"
        return n * 2

    @app.task
    async def parent(n: int) -> int:
        value = await (await child.enqueue(n)).result()
        assert current_task().type == "parent"
        return value + 1

    with app.eager():
        assert await (await parent.enqueue(3)).result() == 7
        with pytest.raises(AsynqError):
            current_task()


async def test_delays_are_noted_and_not_waited_for(app: App) -> None:
    @app.task
    async def later() -> None: ...

    with app.eager() as eager:
        await later.options(process_in=3600).enqueue()
        eager.assert_enqueued(later, process_in="1h")


async def test_middleware_stands_around_enqueueing_and_running(app: App) -> None:
    seen: list[str] = []

    async def outside(tasks: Any, call_next: Any) -> Any:
        seen.append("enqueue")
        return await call_next(tasks)

    async def inside(task: ActiveTask, call_next: Any) -> None:
        seen.append("run")
        await call_next(task)

    app.on_enqueue(outside)
    app.use(inside)

    @app.task
    async def work() -> None: ...

    with app.eager():
        await work.enqueue()
    assert seen == ["enqueue", "run"]


async def test_what_is_handled_elsewhere_is_noted_and_has_no_result(app: App) -> None:
    scan = app.remote("scan", result=int)
    with app.eager() as eager:
        handle = await scan.enqueue({"path": "a.png"})
        eager.assert_enqueued(scan, payload={"path": "a.png"})
        assert await handle.status() is TaskState.PENDING
        with pytest.raises(AsynqError, match="no function here"):
            await handle.result()


async def test_a_task_without_retention_has_no_result_as_in_earnest() -> None:
    app = App()

    @app.task
    async def work() -> int:
        return 1

    with app.eager():
        with pytest.raises(InvalidOptionError, match="retention"):
            await (await work.enqueue()).result()
        assert await (await work.options(wait=True).enqueue()).result() == 1


async def test_a_revoked_task_is_no_error(app: App) -> None:
    @app.task
    async def give_up() -> None:
        raise RevokeTask("not needed")

    with app.eager() as eager:
        await give_up.enqueue()
        eager.assert_enqueued(give_up)


async def test_an_app_may_be_eager_for_good() -> None:
    app = App("redis://nowhere.invalid", eager=True, retention=60)

    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    assert await (await add.enqueue(1, 2)).result() == 3
    await app.aclose()


def test_it_serves_one_event_loop_after_the_other(app: App) -> None:
    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    async def main() -> int:
        return await (await add.enqueue(1, 2)).result()

    with app.eager() as eager:
        assert [asyncio.run(main()), asyncio.run(main())] == [3, 3]
        eager.assert_enqueued(add, count=2)


async def test_the_state_of_the_lifespan_is_that_of_the_block() -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[list[int]]:
        yield []

    app = App(lifespan=lifespan)

    @app.task
    async def keep(n: int) -> None:
        current_app_state(list).append(n)

    with app.eager():
        async with app.lifespan() as state:
            await keep.enqueue(5)
    assert state == [5]


async def test_what_is_injected_is_made_for_the_call_and_closed_after_it(app: App) -> None:
    seen: list[str] = []

    async def session() -> AsyncGenerator[str]:
        seen.append("open")
        yield "session"
        seen.append("close")

    @app.task
    async def work(s: str = Depends(session)) -> None:
        seen.append(s)

    with app.eager():
        await work.enqueue()
    assert seen == ["open", "session", "close"]


async def test_unique_tasks_are_run_each_time(app: App) -> None:
    seen: list[int] = []

    @app.task(unique=60, unique_key=lambda n: "all")
    async def work(n: int) -> None:
        seen.append(n)

    with app.eager():
        await work.enqueue(1)
        await work.enqueue(1)
    assert seen == [1, 1]


async def test_core_tasks_through_its_client_run_as_well(app: App) -> None:
    seen: list[int] = []

    @app.task
    async def keep(n: int) -> None:
        seen.append(n)

    with app.eager():
        await app.client.enqueue(Task("keep", {"n": 1}))
        with pytest.raises(Exception, match="the payload does not fit"):
            await app.client.enqueue(Task("keep", {"n": "x"}))
    assert seen == [1]


async def test_what_runs_at_once_and_what_is_delayed_are_told_as_they_were_wanted(app: App) -> None:
    @app.task
    async def work(n: int) -> None: ...

    with app.eager() as eager:
        await work.enqueue(1)
        await work.options(process_in=60).enqueue(2)
        assert [entry.process_in for entry in eager.enqueued()] == [0, 60]
        with pytest.raises(AssertionError) as failed:
            eager.assert_enqueued(work, 3)
    assert str(failed.value).splitlines()[2:] == [
        """  work {"n":1} in queue 'default'""",
        """  work {"n":2} in queue 'default', to run after 60 s""",
    ]
