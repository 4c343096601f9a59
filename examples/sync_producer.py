"""Enqueue from code that runs no event loop: scripts, Django and Flask views, cron jobs."""

import asyncio
import os

from asynq_py import ActiveTask, EnqueueError, ServeMux, Server, SyncClient, Task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")


def produce() -> int:
    """Nothing here is async. One SyncClient serves all threads of a process."""
    with SyncClient() as client:
        info = client.enqueue(Task("invoice:send", {"invoice": 1}), queue="billing")
        print(f"enqueued {info.type} to {info.queue}, state {info.state}")

        # Many at once: few round trips, one answer each. A bad one is an EnqueueError among the answers.
        tasks = [Task("invoice:send", {"invoice": n}) for n in range(2, 102)]
        answers = client.enqueue_many(tasks, queue="billing")
        refused = [answer for answer in answers if isinstance(answer, EnqueueError)]
        print(f"enqueued {len(answers) - len(refused)} more, {len(refused)} refused")
        return 1 + len(answers) - len(refused)


async def consume(expected: int) -> None:
    """The worker, elsewhere as a rule; here it shows that the tasks arrived."""
    mux = ServeMux()
    sent: set[int] = set()
    all_sent = asyncio.Event()

    @mux.handler("invoice:send")
    async def send(task: ActiveTask) -> None:
        sent.add(task.json()["invoice"])
        if len(sent) == expected:
            all_sent.set()

    async with Server(None, mux, queues=["billing"], concurrency=50):
        await all_sent.wait()
    print(f"sent {len(sent)} invoices")


if __name__ == "__main__":
    asyncio.run(consume(produce()))
