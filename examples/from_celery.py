"""What a project of Celery becomes: see docs/guide/migrate-from-celery.md."""

import asyncio
import logging
import os

from asynq_py import ActiveTask, App, TaskFailedError, chain, current_task, default_retry_delay, gather

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # the failures are meant

app = App(max_retry=3, timeout=600, retention=3600)


# plain functions run in threads; executor="process" where they need a processor of their own
@app.task(queue="payments", max_retry=2)
def charge(order: int, *, cents: int) -> str:
    task = current_task()
    if task.retried < 1:
        raise ConnectionError("the bank is away")
    return f"order {order} paid at try {task.retried + 1}"


@app.task
async def add(x: int, y: int) -> int:
    return x + y


@app.task
async def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.cron("0 7 * * mon-fri", timezone="Europe/Paris")
async def wake() -> None: ...


# retry_backoff, default_retry_delay, countdown of retry(): one function for the server
def retry_delay(n: int, error: BaseException, task: ActiveTask) -> float:
    return 0.0 if isinstance(error, ConnectionError) else default_retry_delay(n, error, task)


async def main() -> None:
    async with app, app.server(concurrency=20, forward_interval=0.1, retry_delay=retry_delay):
        # charge.delay(7, cents=500), and .apply_async((7,), {"cents": 500}, countdown=…, queue=…)
        handle = await charge.enqueue(7, cents=500)
        print(await handle.result(timeout=20))
        await charge.options(process_in=3600, queue="low").enqueue(7, cents=500)

        # max_retries=0, and AsyncResult.get() of a task that failed
        try:
            await (await charge.options(max_retry=0).enqueue(8, cents=1)).result(timeout=20)
        except TaskFailedError as error:
            print(error.error)

        # chord(group(add.s(1, 2), add.s(3, 4)), total.s()), and add.s(1, 2) | add.s(10)
        flow = gather(add.step(1, 2), add.step(3, 4)).then(total.step())
        print(await (await flow.enqueue()).result(timeout=20))
        line = chain(add.step(1, 2), add.step(y=10))
        print(await (await line.enqueue()).result(timeout=20))


if __name__ == "__main__":
    asyncio.run(main())
