"""`app.test()`: the tasks of an app, on the embedded server, with a clock of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from asynq_py import (
    App,
    AsynqError,
    Depends,
    DuplicateTaskError,
    InvalidOptionError,
    PayloadError,
    Router,
    Task,
    TaskFailedError,
    TaskState,
    current_app_state,
    current_task,
)
from asynq_py.testing import Rehearsal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Image:
    path: str
    width: int = 100


app = App("redis://nowhere.invalid")
images = Router("image", queue="images")
sent: list[str] = []


@app.task(max_retry=2, aliases=["old_welcome"], retention=3600)
async def send_welcome(user_id: int, *, template: str = "hello") -> str:
    sent.append(f"{template} {user_id}")
    return f"{template}, user {user_id}"


@images.task
def resize(image: Image) -> None:
    sent.append(image.path)


@app.task
async def parent(user_id: int) -> None:
    handle = await send_welcome.enqueue(user_id)
    sent.append(f"parent of {await handle.result()}")


@app.cron("0 9 * * *", timezone="Europe/Paris")
async def report() -> None:
    sent.append("report")


app.include(images)
scan = app.remote("image:scan", payload=Image, result=dict, retention=60)


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    sent.clear()


@pytest.fixture
async def t() -> AsyncGenerator[Rehearsal]:
    async with app.test(now=NOON) as t:
        yield t


async def test_a_task_is_enqueued_and_runs(t: Rehearsal) -> None:
    await send_welcome.enqueue(42, template="hi")
    t.assert_enqueued(send_welcome, user_id=42)
    t.assert_enqueued(send_welcome, 42, template="hi", count=1)
    t.assert_not_enqueued(send_welcome, user_id=43)
    assert sent == []

    await t.run_until_idle()
    assert sent == ["hi 42"]
    assert [ran.error for ran in t.runs(send_welcome)] == [None]


async def test_a_default_that_was_not_given_counts_all_the_same(t: Rehearsal) -> None:
    await send_welcome.enqueue(42)
    t.assert_enqueued(send_welcome, template="hello")


async def test_an_alias_is_the_same_task(t: Rehearsal) -> None:
    await t.client.enqueue(Task("old_welcome", {"user_id": 7}))
    t.assert_enqueued(send_welcome, user_id=7)


async def test_a_model_is_compared_as_a_whole_or_by_fields(t: Rehearsal) -> None:
    await resize.enqueue(Image("a.png"))
    t.assert_enqueued(resize, Image("a.png"), queue="images")
    t.assert_enqueued(resize, path="a.png")
    t.assert_not_enqueued(resize, Image("a.png", 200))
    t.assert_not_enqueued(resize, path="b.png")
    await t.run_until_idle()
    assert sent == ["a.png"]


async def test_an_assertion_about_what_the_task_cannot_take_is_a_mistake(t: Rehearsal) -> None:
    await send_welcome.enqueue(42)
    with pytest.raises(PayloadError, match="user"):
        t.assert_enqueued(send_welcome, user=42)
    with pytest.raises(PayloadError, match="user_id: expected int"):
        t.assert_not_enqueued(send_welcome, user_id="42")


async def test_who_waits_for_a_result_lets_the_task_run(t: Rehearsal) -> None:
    handle = await send_welcome.enqueue(42)
    assert await handle.result() == "hello, user 42"
    assert await handle.status() is TaskState.COMPLETED


async def test_who_waits_for_what_ends_later_is_told_at_once(t: Rehearsal) -> None:
    handle = await send_welcome.options(process_in=60).enqueue(42)
    with pytest.raises(AssertionError, match=r"it is scheduled until .*advance"):
        await handle.result()
    await t.advance("1m")
    assert await handle.result() == "hello, user 42"


async def test_who_waits_for_a_task_that_failed_hears_why(t: Rehearsal) -> None:
    t.failing(send_welcome, ConnectionError("no mail today"), times=None)
    handle = await send_welcome.enqueue(42)
    await t.advance("24h")
    with pytest.raises(TaskFailedError, match="no mail today"):
        await handle.result()
    assert len(t.runs(send_welcome)) == 3
    assert [info.id for info in await t.archived(send_welcome)] == [handle.id]


async def test_a_task_may_wait_for_another(t: Rehearsal) -> None:
    await parent.enqueue(1)
    await t.run_until_idle()
    assert sent[-1] == "parent of hello, user 1"


async def test_failures_of_a_task_include_those_of_its_aliases(t: Rehearsal) -> None:
    t.failing(send_welcome, ConnectionError, times=2)
    await send_welcome.enqueue(1)
    await t.advance("12h")
    assert [type(one.error) for one in t.ran] == [ConnectionError, ConnectionError, type(None)]


async def test_cron_entries_of_the_app_come_at_their_times(t: Rehearsal) -> None:
    ran = await t.advance(timedelta(days=2))
    assert [one.at for one in ran] == [
        datetime(2026, 3, 2, 8, tzinfo=UTC),
        datetime(2026, 3, 3, 8, tzinfo=UTC),
    ]
    t.assert_enqueued(report, count=2)
    assert sent == ["report", "report"]


async def test_a_stub_answers_for_a_task_that_is_elsewhere(t: Rehearsal) -> None:
    t.stub(scan, returns={"faces": 2})
    handle = await scan.enqueue(Image("a.png"))
    assert await handle.result() == {"faces": 2}
    with pytest.raises(PayloadError):
        t.stub(scan, returns="no dict")


async def test_what_does_not_fit_is_archived_as_in_a_server(t: Rehearsal) -> None:
    await t.client.enqueue(Task("send_welcome", {"user_id": "forty-two"}))
    await t.run_until_idle()
    (info,) = await t.archived()
    assert "user_id: expected int, got str" in (info.last_error or "")


async def test_a_batch_is_known_as_well(t: Rehearsal) -> None:
    await app.enqueue_many([send_welcome.task(1), send_welcome.task(2)])
    t.assert_enqueued(send_welcome, count=2)


async def test_middleware_of_the_app_is_there() -> None:
    seen: list[str] = []
    app = App()

    @app.task
    async def work() -> None: ...

    async def outside(tasks, call_next):  # type: ignore[no-untyped-def]
        seen.append("enqueue")
        return await call_next(tasks)

    async def inside(task, call_next):  # type: ignore[no-untyped-def]
        seen.append("run")
        await call_next(task)

    app.on_enqueue(outside)
    app.use(inside)
    async with app.test() as t:
        await work.enqueue()
        await t.run_until_idle()
    assert seen == ["enqueue", "run"]


async def test_the_lifespan_of_the_app_surrounds_its_tasks() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[list[str]]:
        seen.append("open")
        yield seen
        seen.append("close")

    app = App(lifespan=lifespan)

    @app.task
    async def work(forever: bool) -> None:
        current_app_state(list).append("run")
        try:
            await asyncio.sleep(1000 if forever else 0)
        finally:
            seen.append("end")

    async with app.test() as t:
        await work.enqueue(False)
        await t.run_until_idle()
        await work.enqueue(True)
        await t.advance(1)
    assert seen == ["open", "run", "end", "run", "end", "close"]


async def test_what_is_injected_is_made_and_may_be_replaced() -> None:
    app = App()

    def who() -> str:
        return "real"

    @app.task
    async def work(name: str = Depends(who)) -> None:
        sent.append(name)

    async with app.test() as t:
        await work.enqueue()
        await t.run_until_idle()
        with app.override(who, lambda: "fake"):
            await work.enqueue()
            await t.run_until_idle()
    assert sent == ["real", "fake"]


async def test_a_unique_task_keeps_its_lock_while_it_runs_and_loses_it_in_time() -> None:
    app = App()

    @app.task(unique=60, unique_until="end")
    async def work(seconds: int) -> None:
        await asyncio.sleep(seconds)

    async with app.test() as t:
        await work.options(timeout=7200).enqueue(3600)
        await t.advance("30m")
        with pytest.raises(DuplicateTaskError):
            await work.options(timeout=7200).enqueue(3600)
        await t.advance("31m")
        await work.enqueue(3600)


async def test_a_flow_goes_from_step_to_step_and_survives_a_failure() -> None:
    app = App(retention=600)

    @app.task
    async def one(n: int) -> int:
        return n + 1

    @app.task
    async def two(n: int) -> int:
        return n * 2

    async with app.test() as t:
        t.failing(two, ConnectionError)
        flow = await one.step(1).then(two.step()).enqueue()
        await t.run_until_idle()
        assert [ran.type for ran in t.ran] == ["one", "two"]
        await t.advance("5m")
        assert await flow.result(timeout=10) == 4


async def test_behind_the_test_the_app_is_as_before() -> None:
    async with app.test() as t:
        inside = app.client
        await inside.ping()
        assert t.client is not inside
    with pytest.raises(AsynqError, match="closed"):
        await inside.ping()
    assert app.client is not inside
    await app.aclose()


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        (
            lambda t: t.failing("send_welcom"),
            "did you mean 'send_welcome'. the tasks that are known here are",
        ),
        (lambda t: t.crashing("quack"), "task='quack' is not allowed: the tasks that are known here are"),
        (lambda t: t.stub("quack"), "one of another program is given as `Task"),
        (
            lambda t: t.failing(send_welcome, "no exception"),
            "error='no exception' is not allowed: an exception",
        ),
        (lambda t: t.failing(send_welcome, int), "an exception, or the class of one"),
        (lambda t: t.failing(send_welcome, UnicodeDecodeError), "cannot be made of a text alone"),
        (lambda t: t.failing(send_welcome, times=0), "times=0 is not allowed: one or more"),
        (lambda t: t.crashing(send_welcome, times=True), "times=True is not allowed: one or more"),
    ],
)
async def test_what_could_never_come_about_is_refused(
    t: Rehearsal, wish: Callable[[Rehearsal], None], problem: str
) -> None:
    with pytest.raises(InvalidOptionError, match=problem):
        wish(t)


async def test_names_of_tasks_will_do_for_those_that_are_known(t: Rehearsal) -> None:
    t.failing("send_welcome")
    t.failing("old_welcome")
    t.stub("image:resize", returns=None)
    t.stub("image:scan")
    t.stub(Task("elsewhere"), returns=1)
    t.failing("elsewhere")


async def test_what_runs_can_be_cancelled() -> None:
    app = App("redis://nowhere.invalid", max_retry=0)
    ends: list[str] = []

    @app.task
    async def wait_for(what: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ends.append(f"{what}: {current_task().cancel_reason}")

    @app.task
    async def sleep(what: str) -> None:
        await asyncio.sleep(3600)

    async with app.test(patience=0.2) as t:
        one, other = await wait_for.enqueue("mail"), await sleep.enqueue("nap")
        await t.advance(1)
        await one.cancel()
        await t.inspector.cancel_processing(other.id)
        await t.run_until_idle()
        assert ends == ["mail: cancelled"]
        assert {info.id for info in await t.archived()} == {one.id, other.id}
