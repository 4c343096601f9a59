"""Q-29: in asynq (Go) since v0.25.0 an outcome that could not be written at once is never written: the task
runs again, and counts as failed. Here it is written when Redis is back, while the lease lasts."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become
from tests.eventually import eventually
from tests.proxy import Proxy
from tests.servers import master_url


async def test_outcomes_wait_while_redis_is_away_and_are_written_when_it_is_back(
    one_server: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    ran: Counter[str] = Counter()
    all_run = asyncio.Barrier(3)
    async with Proxy(master_url(one_server)) as proxy:

        async def handler(task: ActiveTask) -> None:
            ran[task.id] += 1
            await all_run.wait()
            proxy.is_refusing = True
            proxy.cut_all()
            if task.type == "fails":
                raise ValueError("text")

        async def is_away() -> bool:
            return "is away" in caplog.text

        await client.enqueue(Task("done", task_id="done"))
        await client.enqueue(Task("kept", task_id="kept", retention=600))
        await client.enqueue(Task("fails", task_id="fails"))
        async with Server(proxy.url, handler):
            await eventually(is_away)
            assert (await books(redis)).active == ("done", "kept", "fails")
            proxy.is_refusing = False
            await books_become(redis, Books(completed={"kept"}, retry={"fails"}, processed=3, failed=1))

    assert ran == Counter(done=1, kept=1, fails=1)
    assert not await redis.exists(QueueKeys("default").active)
