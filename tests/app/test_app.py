"""An app from end to end: calls become tasks, tasks run functions, results come back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asynq_py import (
    App,
    AsynqError,
    Client,
    EnqueueError,
    InvalidOptionError,
    PayloadError,
    RevokeTask,
    Server,
    SkipRetry,
    Task,
    TaskFailedError,
    TaskHandle,
    TaskNotFoundError,
    TaskState,
    current_task,
)
from tests.eventually import eventually


@dataclass
class Order:
    number: int
    at: datetime


def serving(app: App) -> Server:
    return app.server(
        poll_interval=0.05, forward_interval=0.05, retry_delay=lambda n, error, task: 0.0, cancel_grace=5.0
    )


async def test_a_call_is_enqueued_and_its_value_comes_back(redis_url: str) -> None:
    app = App(redis_url)

    @app.task(queue="emails", max_retry=5, timeout=30, retention=60)
    async def send_welcome(user_id: int, *, template: str = "hello") -> str:
        return f"{template}, {user_id}, in {current_task().queue}"

    async with app, serving(app):
        handle = await send_welcome.enqueue(42, template="hi")
        value: str = await handle.result(timeout=10)
        info = await handle.info()

    assert value == "hi, 42, in emails"
    assert (info.type, info.queue, info.max_retry, info.timeout) == ("send_welcome", "emails", 5, 30)
    assert json.loads(info.payload) == {"user_id": 42, "template": "hi"}
    assert info.result == b'"hi, 42, in emails"'


async def test_a_direct_call_runs_here_and_now_without_redis() -> None:
    app = App("redis://127.0.0.1:1/0")

    @app.task
    async def double(n: int) -> int:
        """Twice as much."""
        return 2 * n

    @app.task()
    def triple(n: int) -> int:
        return 3 * n

    assert await double(4) == 8
    assert triple(n=4) == 12
    assert (double.__name__, double.__doc__) == ("double", "Twice as much.")


async def test_a_model_is_the_whole_payload_and_is_returned_as_a_model(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    def later(order: Order) -> Order:
        return Order(order.number + 1, order.at + timedelta(days=1))

    at = datetime(2026, 1, 2, tzinfo=UTC)
    async with app, serving(app):
        handle = await later.enqueue(Order(1, at))
        assert await handle.result(timeout=10) == Order(2, datetime(2026, 1, 3, tzinfo=UTC))
        assert json.loads((await handle.info()).payload) == {"number": 1, "at": at.isoformat()}


async def test_options_win_the_later_they_are_given(redis_url: str) -> None:
    app = App(redis_url, queue="of the app", max_retry=1, retention=1)

    @app.task(queue="of the task", max_retry=2, headers={"a": "task", "b": "task"})
    async def work(n: int) -> None: ...

    async with app:
        info = await (await work.options(queue="of the call", headers={"b": "call"}).enqueue(1)).info()
        assert (info.queue, info.max_retry, info.retention) == ("of the call", 2, 1)
        assert info.headers == {"a": "task", "b": "call"}
        assert (await (await work.enqueue(1)).info()).queue == "of the task"

        later = datetime.now(UTC) + timedelta(days=1)
        soon = await work.options(process_at=later).options(process_in=60).enqueue(1)
        late = await work.options(process_in=60).options(process_at=later, process_in=None).enqueue(1)
        soon_at, late_at = (await soon.info()).next_process_at, (await late.info()).next_process_at
    assert soon_at is not None
    assert late_at is not None
    assert soon_at < datetime.now(UTC) + timedelta(seconds=90) < late_at


async def test_asking_to_wait_keeps_the_result_for_a_while(redis_url: str) -> None:
    app = App(redis_url)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with app, serving(app):
        assert await (await double.options(wait=True).enqueue(4)).result(timeout=10) == 8
        assert (await (await double.options(wait=True).enqueue(4)).info()).retention == 300
        kept = await double.options(wait=True, retention=7).enqueue(4)
        assert (await kept.info()).retention == 7


async def test_waiting_for_a_result_that_is_not_kept_is_an_error_at_once(redis_url: str) -> None:
    app = App(redis_url)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with app:
        handle = await double.enqueue(4)
        with pytest.raises(InvalidOptionError, match=r"retention=0 .*\.options\(wait=True\)"):
            await handle.result(timeout=1)


async def test_waiting_ends_at_its_timeout_and_the_task_goes_on(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with app:
        handle = await double.enqueue(4)
        with pytest.raises(TimeoutError, match=handle.id):
            await handle.result(timeout=timedelta(milliseconds=50))
        with pytest.raises(InvalidOptionError, match="timeout='soon'"):
            await handle.result(timeout="soon")
        assert await handle.status() is TaskState.PENDING
        async with serving(app):
            assert await handle.result(timeout=10) == 8


async def test_the_result_of_a_task_that_failed_for_good_is_its_error(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task(max_retry=1)
    async def fail() -> None:
        raise ValueError("no such user")

    @app.task
    async def give_up() -> None:
        raise SkipRetry("not ours")

    async with app, serving(app):
        handle = await fail.enqueue()
        with pytest.raises(TaskFailedError, match="ValueError: no such user") as failed:
            await handle.result(timeout=10)
        assert (failed.value.task_id, (await handle.info()).retried) == (handle.id, 1)
        with pytest.raises(TaskFailedError, match="not ours"):
            await (await give_up.enqueue()).result(timeout=10)


async def test_a_task_that_is_gone_has_no_result(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def drop() -> None:
        raise RevokeTask

    async with app, serving(app):
        handle = await drop.enqueue()
        with pytest.raises(TaskNotFoundError):
            await handle.result(timeout=10)
        with pytest.raises(TaskNotFoundError):
            await drop.handle("never there", queue="nowhere").result(timeout=10)


async def test_a_result_the_function_wrote_itself_is_not_replaced_by_none(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def report() -> Any:
        await current_task().write_result(b'{"done":1}')

    async with app, serving(app):
        assert await (await report.enqueue()).result(timeout=10) == {"done": 1}


async def test_many_wait_at_once_and_each_gets_its_own(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with app, serving(app):
        handles = [
            handle
            for handle in await double.enqueue_many([double.task(n) for n in range(300)])
            if isinstance(handle, TaskHandle)
        ]
        values = await asyncio.gather(*(handle.result(timeout=30) for handle in handles))
    assert values == [2 * n for n in range(300)]


async def test_waiting_looks_less_and_less_often(redis_url: str, redis: Any, server_kind: str) -> None:
    if server_kind == "cluster":
        pytest.skip("counts the commands of one server")
    app = App(redis_url, retention=60)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with app:
        handle = await double.enqueue(4)
        await handle.status()
        before = (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)
        with pytest.raises(TimeoutError):
            await handle.result(timeout=2.0)
        after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert 2 <= after - before <= 15


async def test_a_waiting_task_can_be_cancelled(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def work() -> None: ...

    async with app:
        handle = await work.options(process_in=60).enqueue()
        assert await handle.cancel()
        with pytest.raises(TaskNotFoundError):
            await handle.status()
        with pytest.raises(TaskNotFoundError):
            await handle.cancel()


async def test_a_running_task_is_asked_to_end(redis_url: str) -> None:
    app = App(redis_url, retention=60)
    began = asyncio.Event()

    @app.task(max_retry=0)
    async def work() -> None:
        began.set()
        await asyncio.Event().wait()

    async with app, serving(app):
        handle = await work.enqueue()
        async with asyncio.timeout(20):
            await began.wait()
        assert not await handle.cancel()
        with pytest.raises(TaskFailedError):
            await handle.result(timeout=10)
        assert not await handle.cancel()
        assert await handle.status() is TaskState.ARCHIVED


async def test_a_task_can_be_taken_up_by_its_id(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task(queue="q")
    async def double(n: int) -> int:
        return 2 * n

    async with app, serving(app):
        task_id = (await double.enqueue(4)).id
        assert await double.handle(task_id).result(timeout=10) == 8


async def test_many_tasks_of_several_kinds_go_out_together(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    @app.task
    async def later(order: Order) -> Order:
        return order

    order = Order(1, datetime(2026, 1, 2, tzinfo=UTC))
    async with app, serving(app):
        answers = await app.enqueue_many(
            [double.options(task_id="a").task(1), double.options(task_id="a").task(2), later.task(order)]
        )
        first, second, third = answers
        assert isinstance(first, TaskHandle)
        assert isinstance(second, EnqueueError)
        assert isinstance(third, TaskHandle)
        assert await first.result(timeout=10) == 2
        assert await third.result(timeout=10) == order


async def test_a_call_is_a_core_task_for_any_client(redis_url: str, client: Client) -> None:
    app = App(redis_url)

    @app.task(queue="q", max_retry=3)
    async def double(n: int) -> int:
        return 2 * n

    task = double.task(4)
    assert isinstance(task, Task)
    assert (task.type, task.payload) == ("double", b'{"n":4}')
    info = await client.enqueue(task)
    assert (info.queue, info.max_retry) == ("q", 3)


async def test_arguments_that_do_not_fit_are_refused_and_nothing_is_sent(redis_url: str) -> None:
    app = App(redis_url)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with app:
        with pytest.raises(PayloadError, match="double: n: expected int, got str"):
            await double.enqueue("4")  # type: ignore[arg-type]  # that is the point
        with pytest.raises(PayloadError, match="unexpected keyword argument 'm'"):
            await double.enqueue(4, m=1)  # type: ignore[call-arg]  # that is the point
        assert await app.inspector.queues() == []


async def test_a_server_takes_from_all_queues_that_tasks_name(redis_url: str) -> None:
    app = App(redis_url)

    @app.task(queue="b")
    async def work() -> None: ...

    @app.cron("@daily", queue="c")
    async def report() -> None: ...

    async with app.server(), app:
        (server,) = await eventually(app.inspector.servers)
    assert server.queues == {"b": 1, "c": 1, "default": 1}


async def test_a_handler_may_enqueue_more(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def first(n: int) -> int:
        return await (await second.enqueue(n + 1)).result(timeout=10)

    @app.task
    def second(n: int) -> int:
        return n + 1

    async with app, serving(app):
        assert await (await first.enqueue(1)).result(timeout=10) == 3


async def test_middleware_stands_around_all_tasks(redis_url: str) -> None:
    app = App(redis_url, retention=60)
    seen = []

    async def watch(task: Any, call_next: Any) -> None:
        seen.append(task.type)
        await call_next(task)

    @app.task
    async def work() -> int:
        return 1

    app.use(watch)
    async with app, serving(app):
        await (await work.enqueue()).result(timeout=10)
    assert seen == ["work"]


def test_each_event_loop_gets_a_client_of_its_own(redis_url: str) -> None:
    app = App(redis_url)

    @app.task
    async def work(n: int) -> None: ...

    async def enqueue() -> int:
        await work.enqueue(1)
        pending = len(await app.inspector.list_pending("default"))
        await app.aclose()
        await app.aclose()
        with pytest.raises(
            AsynqError, match="this app is closed in this event loop; `async with app:` opens"
        ):
            await work.enqueue(2)
        return pending

    assert [asyncio.run(enqueue()) for _ in range(2)] == [1, 2]


async def test_without_an_event_loop_there_is_no_client() -> None:
    app = App()

    @app.task
    async def work(n: int) -> None: ...

    def ask() -> object:
        return app.client

    with pytest.raises(AsynqError, match="SyncClient"):
        await asyncio.to_thread(ask)


FORGETFUL = """
import asyncio
from asynq_py import App

app = App({url!r}, retention=60)

@app.task
async def double(n: int) -> int:
    return 2 * n

async def main() -> None:
    async with app.server():
        handle = await double.enqueue(4)
        print(await handle.result(timeout=10))

asyncio.run(main())
"""


def test_an_app_that_nobody_closes_leaves_nothing_open(redis_url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", FORGETFUL.format(url=redis_url)],
        capture_output=True,
        encoding="utf-8",
        timeout=40,
    )
    complaints = [line for line in ended.stderr.splitlines() if not line.startswith("Executing <")]
    assert (ended.stdout, complaints, ended.returncode) == ("8\n", [], 0)


async def test_a_task_of_a_queue_that_was_never_used_is_one_that_is_not_there(redis_url: str) -> None:
    app = App(redis_url)

    @app.task(queue="unused", retention=60)
    async def nothing() -> None: ...

    async with app:
        handle = nothing.handle("unheard-of")
        for call in (handle.info, handle.status, handle.cancel, handle.result):
            with pytest.raises(TaskNotFoundError):
                await call()


async def test_of_blocks_in_each_other_the_outermost_closes_an_app_and_another_opens_it(
    redis_url: str,
) -> None:
    app = App(redis_url)

    @app.task
    async def work(n: int) -> None: ...

    async with app:
        async with app:
            await work.enqueue(1)
        await work.enqueue(2)
        inspector = app.inspector
    with pytest.raises(AsynqError, match="this app is closed"):
        await app.client.ping()
    with pytest.raises(AsynqError, match="this inspector is closed; make another one"):
        await inspector.queues()
    async with app:
        await work.enqueue(3)
        assert len(await app.inspector.list_pending("default")) == 3
