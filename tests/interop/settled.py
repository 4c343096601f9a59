"""Tasks in all the states that only a worker brings about; the ID of each is the name of its state."""

from __future__ import annotations

from redis.asyncio import Redis

from asynq_py import Client, Task
from tests.books import Books, books_become
from tests.interop.script import InProcess, does


async def settle_one_in_each_state(worker: InProcess, client: Client, redis: Redis) -> None:
    """The worker has stopped then, and runs the task `active` until its `release`. It retries late."""
    await client.enqueue_many(
        [
            Task("t", does("wait"), task_id="active"),
            Task("t", does("result", text="42"), task_id="completed", retention=600),
            Task("t", does("fail", text="no luck"), task_id="archived", max_retry=0),
            Task("t", does("fail", text="not yet"), task_id="retry"),
        ]
    )
    await worker.events.wait("start", "active")
    settled = Books(
        active=("active",), completed={"completed"}, archived={"archived"}, retry={"retry"}, processed=3,
        failed=2,
    )  # fmt: skip
    await books_become(redis, settled)
    await worker.stop()
