"""Middleware of a client: what should happen to every task before it is sent, written once."""

import asyncio
import os
from collections.abc import Sequence
from contextvars import ContextVar

from asynq_py import ActiveTask, Client, EnqueueCall, EnqueueError, ServeMux, Server, Task, TaskInfo

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
mux = ServeMux()
finished = asyncio.Event()


async def with_tenant(tasks: Sequence[Task], call_next: EnqueueCall) -> Sequence[TaskInfo | EnqueueError]:
    """What holds where a task is enqueued travels with it, in a header."""
    return await call_next([task.with_headers({"tenant": tenant.get()}) for task in tasks])


async def count(tasks: Sequence[Task], call_next: EnqueueCall) -> Sequence[TaskInfo | EnqueueError]:
    """Errors are answers here, whether one task is enqueued or many."""
    answers = await call_next(tasks)
    refused = sum(isinstance(answer, EnqueueError) for answer in answers)
    print(f"{len(answers) - refused} enqueued, {refused} refused")
    return answers


@mux.handler("report:build")
async def build(task: ActiveTask) -> None:
    print(f"building the report of {task.headers['tenant']}")
    finished.set()


async def main() -> None:
    async with Client(middleware=[count, with_tenant]) as client, Server(None, mux, concurrency=1):
        tenant.set("acme")
        await client.enqueue(Task("report:build"))
        await finished.wait()
        await client.enqueue_many([Task("report:build", task_id="a", process_in=60) for _ in range(3)])


if __name__ == "__main__":
    asyncio.run(main())
