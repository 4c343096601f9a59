"""What TERM, INT and TSTP do to a worker process. Behaviour 4.2 and 4.4; F18, F20, F22."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Task
from asynq_py.wire.messages import ServerInfo
from tests.books import Books, books, books_become
from tests.end_to_end.processes import Workers
from tests.eventually import eventually

ENDINGS = pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
LONG = 1000.0
BRISK = 8.0  # seconds a lease lasts: so there is a sign of life every two seconds


@pytest.fixture
def status_becomes(redis: Redis) -> Callable[[str], Awaitable[object]]:
    """Wait until the only server there is tells of that state."""

    async def status() -> str:
        names = await redis.zrange("asynq:servers", 0, -1)
        data = await redis.get(str(names[0], "ascii")) if names else None  # type: ignore[arg-type]
        return ServerInfo.FromString(data).status if isinstance(data, bytes) else ""

    return lambda wanted: eventually(status, lambda seen: seen == wanted)


async def enqueue(client: Client, kind: str, payload: str = "") -> None:
    await client.enqueue_many([Task(kind, payload, task_id=name) for name in "abc"])


RUNNING = Books(active=("a", "b"), pending=("c",))


@ENDINGS
async def test_a_signal_lets_running_tasks_end_and_the_process_succeeds(
    workers: Workers,
    redis: Redis,
    client: Client,
    status_becomes: Callable[[str], Awaitable[object]],
    tmp_path: Path,
    ending: signal.Signals,
) -> None:
    may_end = tmp_path / "may end"
    await enqueue(client, "wait for file", str(may_end))
    process = await workers.start(concurrency=2, shutdown_timeout=LONG, lease=BRISK)
    await books_become(redis, RUNNING)

    process.send_signal(ending)
    await status_becomes("closed")
    lease = await redis.zscore("asynq:{default}:lease", "a") or 0.0
    await eventually(lambda: redis.zscore("asynq:{default}:lease", "a"), lambda ends: (ends or 0.0) > lease)
    assert await books(redis) == RUNNING
    may_end.touch()

    assert await process.wait() == 0
    assert await books(redis) == Books(pending=("c",), processed=2)
    assert await workers.noted("ended") == {"a": 1, "b": 1}


@ENDINGS
async def test_what_takes_too_long_is_handed_back_to_the_head_and_nothing_stays_active(
    workers: Workers, redis: Redis, client: Client, ending: signal.Signals
) -> None:
    await enqueue(client, "wait")
    process = await workers.start(concurrency=2, shutdown_timeout=0.2)
    await books_become(redis, RUNNING)

    process.send_signal(ending)

    assert await asyncio.wait_for(process.wait(), 20) == 0
    assert await books(redis) == Books(pending=("a", "b", "c"))
    assert await workers.noted("cancelled") == {"a": 1, "b": 1}
    assert await redis.exists("asynq:servers", "asynq:workers") == 0


@ENDINGS
async def test_a_second_signal_hands_tasks_back_at_once(
    workers: Workers,
    redis: Redis,
    client: Client,
    status_becomes: Callable[[str], Awaitable[object]],
    ending: signal.Signals,
) -> None:
    await enqueue(client, "wait")
    process = await workers.start(concurrency=2, shutdown_timeout=LONG, lease=BRISK)
    await books_become(redis, RUNNING)

    process.send_signal(ending)
    await status_becomes("closed")
    process.send_signal(ending)

    assert await asyncio.wait_for(process.wait(), 20) == 0
    assert await books(redis) == Books(pending=("a", "b", "c"))


async def test_a_third_signal_ends_the_process_on_the_spot(
    workers: Workers, redis: Redis, client: Client, status_becomes: Callable[[str], Awaitable[object]]
) -> None:
    await enqueue(client, "defy")
    process = await workers.start(concurrency=2, shutdown_timeout=LONG, cancel_grace=LONG, lease=BRISK)
    await books_become(redis, RUNNING)

    process.terminate()
    await status_becomes("closed")
    process.terminate()
    await eventually(lambda: workers.noted("cancelled"))
    process.terminate()

    assert await asyncio.wait_for(process.wait(), 20) == 128 + signal.SIGTERM
    assert await books(redis) == RUNNING  # the leases end, then they are recovered


async def test_a_handler_that_never_ends_does_not_keep_the_process_and_its_task_is_not_handed_back(
    workers: Workers, redis: Redis, client: Client
) -> None:
    """F36: asyncio.run would wait for it for ever."""
    await enqueue(client, "defy")
    process = await workers.start(concurrency=2, shutdown_timeout=0.2, cancel_grace=0.2)
    await books_become(redis, RUNNING)

    process.terminate()

    assert await asyncio.wait_for(process.wait(), 20) == 0
    assert await books(redis) == RUNNING
    assert await redis.exists("asynq:servers", "asynq:workers") == 0


async def test_a_process_whose_handler_is_stuck_can_end_with_an_error(
    workers: Workers, redis: Redis, client: Client
) -> None:
    await client.enqueue(Task("defy", task_id="a", timeout=1))
    process = await workers.start(concurrency=2, cancel_grace=0.2, on_stuck="exit")

    assert await asyncio.wait_for(process.wait(), 30) == 1
    assert await books(redis) == Books(active=("a",))


async def test_tstp_stops_fetching_while_running_tasks_end(
    workers: Workers,
    redis: Redis,
    client: Client,
    status_becomes: Callable[[str], Awaitable[object]],
    tmp_path: Path,
) -> None:
    may_end = tmp_path / "may end"
    await enqueue(client, "wait for file", str(may_end))
    process = await workers.start(concurrency=2, lease=BRISK)
    await books_become(redis, RUNNING)
    await status_becomes("active")

    process.send_signal(signal.SIGTSTP)
    await status_becomes("stopped")
    process.send_signal(signal.SIGTSTP)
    may_end.touch()
    await books_become(redis, Books(pending=("c",), processed=2))
    await status_becomes("stopped")

    process.terminate()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    assert await books(redis) == Books(pending=("c",), processed=2)


async def test_an_embedded_server_leaves_signals_to_its_process(
    workers: Workers, redis: Redis, client: Client
) -> None:
    await enqueue(client, "wait")
    process = await workers.start(concurrency=2, embedded=True)
    await books_become(redis, RUNNING)

    process.terminate()

    assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGTERM


async def test_with_handle_signals_false_serve_leaves_signals_to_its_process(
    workers: Workers, redis: Redis, client: Client
) -> None:
    await enqueue(client, "wait")
    process = await workers.start(concurrency=2, handle_signals=False)
    await books_become(redis, RUNNING)

    process.terminate()

    assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGTERM
