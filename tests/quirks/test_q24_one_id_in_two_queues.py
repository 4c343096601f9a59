"""Q-24: of two running tasks with one ID, from two queues, only one was extended and cancelled."""

import asyncio

from redis.asyncio import Redis

from asynq_py import ActiveTask, CancelReason, Client, Inspector, Server, Task
from tests.eventually import eventually


async def test_q24_two_tasks_of_one_id_are_both_extended_and_both_cancelled(
    redis_url: str, client: Client, redis: Redis
) -> None:
    running: list[str] = []
    cancelled: list[tuple[str, CancelReason | None]] = []
    both_run, both_ended = asyncio.Event(), asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        running.append(task.queue)
        if len(running) == 2:
            both_run.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append((task.queue, task.cancel_reason))
            if len(cancelled) == 2:
                both_ended.set()

    queues = ["one", "two"]

    async def leases() -> list[float]:
        return [float(await redis.zscore(f"asynq:{{{queue}}}:lease", "a") or 0) for queue in queues]

    async with Server(redis_url, handler, queues=queues, lease=2), Inspector(redis_url) as inspector:
        for queue in queues:
            await client.enqueue(Task("t"), queue=queue, task_id="a", max_retry=0)
        async with asyncio.timeout(30):
            await both_run.wait()
            first = await leases()
            await eventually(leases, lambda now: all(map(float.__gt__, now, first)))
            assert cancelled == []

            await inspector.cancel_processing("a")
            await both_ended.wait()

    assert sorted(cancelled) == [(queue, CancelReason.CANCELLED) for queue in queues]
