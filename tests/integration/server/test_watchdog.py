"""What is said of a blocked event loop. F24."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from tests.books import Books, books_become
from tests.eventually import eventually


async def test_a_block_is_reported_once_with_its_task_and_stack_and_again_when_it_is_over(
    redis_url: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def said() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.name == "asynq_py.server.watchdog"]

    both = asyncio.Barrier(2)

    async def waits(task: ActiveTask) -> None:
        await both.wait()
        if task.id == "guilty":
            hold_the_loop_until(lambda: bool(caplog.records[before:]))
        await may_end.wait()

    def hold_the_loop_until(seen: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + 20
        while not seen() and time.monotonic() < give_up_at:
            time.sleep(0.01)

    may_end = asyncio.Event()
    caplog.set_level(logging.WARNING, logger="asynq_py.server.watchdog")
    before = len(caplog.records)
    await client.enqueue_many([Task("t", task_id="guilty"), Task("u", task_id="innocent")])
    async with Server(redis_url, waits):
        reported, over = await eventually(said, lambda messages: len(messages) >= 2)
        may_end.set()
        await books_become(redis, Books(processed=2))

    assert "by task guilty (t); nothing else runs meanwhile" in reported
    assert "2 tasks in progress: " in reported
    assert "task innocent (u)" in reported
    assert "in hold_the_loop_until" in reported
    assert "it goes on" in over
    assert len(await said()) == 2


async def test_a_loop_that_only_waits_is_not_called_blocked(
    redis_url: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    started = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        started.set()
        await asyncio.sleep(1.5)

    caplog.set_level(logging.WARNING, logger="asynq_py.server.watchdog")
    await client.enqueue(Task("t"))
    async with Server(redis_url, handler), asyncio.timeout(20):
        await started.wait()
    assert [r.getMessage() for r in caplog.records if r.name == "asynq_py.server.watchdog"] == []
