"""A Redis with a task in every state, and a server that runs one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from tests.books import Books, books_become


@asynccontextmanager
async def filled_by(client: Client, redis: Redis, redis_url: str) -> AsyncGenerator[Server]:
    """Fill the queue `default`. The ID of each task is the name of its state; the group is `g`."""
    ended = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        match task.id:
            case "active":
                await ended.wait()
            case "retry" | "archived":
                raise OSError("no luck")
            case _:
                await task.write_result(b"42")

    queues = {"default": 2, "low": 1}
    async with Server(redis_url, handler, retry_delay=lambda *_: 3600, queues=queues) as server:
        await client.enqueue_many(
            [
                Task("mail:send", {"to": "ada"}, task_id="active", timeout=600),
                Task("mail:send", {"to": "ada"}, task_id="completed", retention=600),
                Task("mail:send", {"to": "ada"}, task_id="archived", max_retry=0),
                Task("mail:send", {"to": "ada"}, task_id="retry", max_retry=5),
            ]
        )
        settled = Books(
            active=("active",), completed={"completed"}, archived={"archived"}, retry={"retry"}, processed=3,
            failed=2,
        )  # fmt: skip
        await books_become(redis, settled)
        server.stop()
        await client.enqueue(Task("report:build"), task_id="scheduled", process_in=600)
        await client.enqueue(Task("report:build", b"\xff\x00", headers={"trace": "1"}), task_id="pending")
        await client.enqueue(Task("mail:send"), task_id="aggregating", group="g")
        yield server
        ended.set()
