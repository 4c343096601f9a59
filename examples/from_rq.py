"""What jobs of RQ become: see docs/guide/migrate-from-rq.md."""

import asyncio
import logging
import os
import threading
from datetime import UTC, datetime, timedelta

from asynq_py import ActiveTask, App, SyncClient, current_task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # the failure is meant

app = App(max_retry=3, timeout=180, retention=500)  # job_timeout, result_ttl
finished = threading.Event()


# In a thread: for what waits. A process, as RQ has for each job: executor="process".
@app.task(queue="high")
def count_words(text: str) -> int:
    task = current_task()  # get_current_job()
    if not task.retried:
        raise ConnectionError("try again")
    return len(text.split())


@app.task(queue="low", executor="process", timeout=60)
def crunch(n: int) -> int:
    return sum(range(n))


@app.task(queue="low")
def last() -> None:
    finished.set()


# Retry(max=3, interval=[10, 30, 60])
INTERVALS = [0.0, 30.0, 60.0]


def retry_delay(n: int, error: BaseException, task: ActiveTask) -> float:
    return INTERVALS[min(n, len(INTERVALS) - 1)]


def produce() -> str:
    """Plain code, such as a view of Flask or Django."""
    with SyncClient() as client:
        info = client.enqueue(count_words.task("to be or not to be"))  # queue.enqueue(count_words, "to be …")
        print(info.queue, info.state)
        client.enqueue(count_words.task("later"), process_in=timedelta(hours=1))  # enqueue_in
        noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
        client.enqueue(count_words.task("at noon"), process_at=noon)  # enqueue_at
        client.enqueue_many([last.task()])  # enqueue_many
        return info.id


async def work(task_id: str) -> None:
    """`asynq-py worker from_rq:app`, in place of `rq worker high low`."""
    server = app.server(queues={"high": 3, "low": 1}, forward_interval=0.1, retry_delay=retry_delay)
    async with app, server:
        handle = await crunch.enqueue(1000)
        print(await handle.result(timeout=40))
        pending = await app.inspector.list_scheduled("high")  # ScheduledJobRegistry
        print([task.type for task in pending])
        await asyncio.to_thread(finished.wait, 20)
        print(await count_words.handle(task_id).result(timeout=20))  # Job.fetch(…)


if __name__ == "__main__":
    asyncio.run(work(produce()))
