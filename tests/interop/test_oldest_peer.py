"""The oldest version whose wire format is ours, where it differs from the newest. Wire format 12."""

from __future__ import annotations

from collections import Counter

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Task
from tests.books import Books, books_become, message
from tests.interop.build import NEWEST, OLDEST
from tests.interop.endings import ENDINGS, ID
from tests.interop.peer import GoPeer
from tests.interop.script import does, in_process

pytestmark = pytest.mark.timeout(60, func_only=True)


async def test_the_peers_are_the_versions_that_we_name(go: GoPeer, old_go: GoPeer) -> None:
    assert [await peer.asynq_version() for peer in (go, old_go)] == [NEWEST, OLDEST]


async def test_python_tasks_end_in_the_oldest_go_as_in_the_newest(
    old_go: GoPeer, client: Client, redis: Redis
) -> None:
    by_queue = {ending.name: ending for ending in ENDINGS}  # all at once, as this version looks once a second
    for queue, ending in by_queue.items():
        await client.enqueue(
            Task("t", ending.payload),
            queue=queue,
            task_id=ID,
            max_retry=ending.max_retry,
            timeout=ending.timeout,
            retention=ending.retention,
            unique=ending.unique or None,
        )

    async with old_go.serve(queues=dict.fromkeys(by_queue, 1)) as worker:
        for queue, ending in by_queue.items():
            await books_become(redis, ending.books, queue)

    tries = Counter(event.queue for event in worker.events.named("start"))
    assert tries == {queue: ending.tries for queue, ending in by_queue.items()}


async def test_the_oldest_go_runs_a_task_with_headers_without_them(
    old_go: GoPeer, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t", does("succeed"), headers={"k": "v"}), task_id="a")

    async with old_go.serve() as worker:
        assert (await worker.events.wait("start", "a")).headers == {}
        await books_become(redis, Books(processed=1))


async def test_headers_are_lost_in_a_retry_by_the_oldest_go(
    old_go: GoPeer, client: Client, redis: Redis
) -> None:
    """Nothing that we could mend: it writes back only what it knows. docs/with-go.md tells users."""
    await client.enqueue(Task("t", does("fail", text="x"), headers={"k": "v"}), task_id="a")

    async with old_go.serve(retry_delay=3600):
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))

    assert dict((await message(redis, "a")).headers) == {}


async def test_headers_survive_a_forward_by_the_oldest_go(
    old_go: GoPeer, client: Client, redis: Redis
) -> None:
    async with old_go.serve() as worker:
        await worker.stop()  # it runs no tasks any more; it still forwards
        await client.enqueue(Task("t", does("succeed"), headers={"k": "v"}), task_id="a", process_in=600)
        await redis.zadd("asynq:{default}:scheduled", {"a": 0})
        await books_become(redis, Books(pending=("a",)))
    async with in_process(old_go.url) as python:
        assert (await python.events.wait("start", "a")).headers == {"k": "v"}
