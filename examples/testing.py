"""How tasks are tested: `pytest -o asyncio_mode=auto examples/testing.py`, with pytest-asyncio."""

import asyncio
from datetime import UTC, datetime, timedelta

from asynq_py import App, TaskState

app = App(retention=timedelta(days=2))
mails: list[str] = []


@app.task(max_retry=2, timeout=30)
async def send_welcome(user_id: int, *, template: str = "hello") -> str:
    mails.append(f"{template} {user_id}")
    return f"{template}, user {user_id}"


@app.task
async def sign_up(user_id: int) -> None:
    await send_welcome.enqueue(user_id)
    await send_welcome.options(process_in=3600).enqueue(user_id, template="still there?")


@app.cron("0 9 * * *", timezone="Europe/Paris")
async def report() -> None: ...


@app.task(timeout=30, max_retry=0)
async def slow() -> None:
    await asyncio.sleep(3600)


# -- a direct call -----------------------------------------------------------------------------------------


async def test_a_direct_call() -> None:
    assert await send_welcome(42) == "hello, user 42"


# -- eager: no server at all -------------------------------------------------------------------------------


async def test_eagerly() -> None:
    with app.eager() as eager:
        handle = await send_welcome.enqueue(42, template="hi")
        assert await handle.result() == "hi, user 42"
        eager.assert_enqueued(send_welcome, user_id=42, count=1)


# -- a rehearsal: real scripts on a real server, and time that moves when it is told -----------------------


async def test_what_is_enqueued() -> None:
    async with app.test() as t:
        await sign_up.enqueue(42)
        await t.run_until_idle()
        t.assert_enqueued(send_welcome, user_id=42, count=2)
        t.assert_enqueued(send_welcome, template="still there?", process_in="1h")
        t.assert_not_enqueued(send_welcome, user_id=43)


async def test_retries() -> None:
    async with app.test() as t:
        t.failing(send_welcome, ConnectionError, times=2)
        handle = await send_welcome.enqueue(42)
        await t.advance("24h")
        assert [ran.error is None for ran in t.runs(send_welcome)] == [False, False, True]
        assert await handle.result() == "hello, user 42"


async def test_the_end_of_retries() -> None:
    async with app.test() as t:
        t.failing(send_welcome, ConnectionError("no mail today"), times=None)
        await send_welcome.enqueue(42)
        await t.advance("24h")
        (info,) = await t.archived(send_welcome)
        assert info.last_error == "ConnectionError: no mail today"


async def test_a_lost_worker() -> None:
    async with app.test() as t:
        t.crashing(send_welcome)
        handle = await send_welcome.enqueue(42)
        await t.advance("1m")
        assert await handle.status() is TaskState.COMPLETED


async def test_times() -> None:
    async with app.test(now=datetime(2026, 3, 28, 12, tzinfo=UTC)) as t:
        await slow.enqueue()
        await t.advance(30)
        assert isinstance(t.ran[0].error, TimeoutError)

        await t.advance("48h")  # over the night in which Paris sets its clocks
        assert [ran.at.hour for ran in t.runs(report)] == [7, 7]
