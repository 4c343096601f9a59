"""Scheduler processes that are killed, replaced and told to end. Each time is enqueued once."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias, cast

import pytest
from redis.asyncio import Redis

from asynq_py.wire.keys import QueueKeys
from tests.end_to_end.processes import ROOT, end
from tests.eventually import eventually

ENTRIES = 10
KILLS = 5

Start: TypeAlias = Callable[[str], Awaitable[Process]]


@pytest.fixture
async def start(redis_url: str) -> AsyncGenerator[Start]:
    async with AsyncExitStack() as stack:

        async def start(kind: str) -> Process:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "tests.end_to_end.scheduler"),
                *(redis_url, kind, str(ENTRIES)),
                cwd=ROOT,
            )
            stack.push_async_callback(end, process)
            return process

        yield start


async def reached(redis: Redis) -> list[tuple[int, int]]:
    """Of each entry the last time, and how many tasks there are, both of the same moment."""
    found = []
    for n in range(ENTRIES):
        keys = QueueKeys(str(n))
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hget(keys.cron(str(n)), "at")
            pipe.llen(keys.pending)
            at, count = cast(Any, await pipe.execute())
        found.append((int(at or 0), int(count)))
    return found


@pytest.mark.timeout(120)
async def test_schedulers_that_are_killed_and_replaced_neither_lose_nor_double_a_time(
    start: Start, redis: Redis
) -> None:
    running = [await start(kind) for kind in ("scheduler", "manager", "scheduler")]
    begun = await eventually(lambda: reached(redis), lambda found: all(at for at, _ in found), within=30)

    for kill in range(1, KILLS + 1):
        due = begun[0][0] + 2 * kill
        await eventually(lambda: reached(redis), lambda found, due=due: found[0][0] >= due, within=30)  # type: ignore[misc]
        await end(running.pop(0))
        running.append(await start("manager" if kill % 2 else "scheduler"))
    await eventually(
        lambda: reached(redis),
        lambda found: all(at > begun[0][0] + 2 * KILLS + 2 for at, _ in found),
        within=30,
    )
    for process in running:
        process.terminate()
    assert [await process.wait() for process in running] == [0, 0, 0]

    for (first, before), (last, after) in zip(begun, await reached(redis), strict=True):
        assert after - before == last - first


@pytest.mark.parametrize("kind", ["scheduler", "manager"])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_scheduler_which_leaves_the_list_behind_empty(
    start: Start, redis: Redis, kind: str, ending: signal.Signals
) -> None:
    process = await start(kind)
    await eventually(lambda: redis.zcard("asynq:schedulers"), within=30)
    process.send_signal(ending)
    assert await process.wait() == 0
    assert await redis.keys("asynq:scheduler*") == []
