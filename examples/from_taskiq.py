"""What a broker of taskiq becomes: see docs/guide/migrate-from-taskiq.md."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from asynq_py import ActiveTask, App, AsyncHandler, Depends, Shared, current_task, injected

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")


class Pool:
    async def fetch(self, number: int) -> str:
        return f"user {number}"


# TaskiqEvents.WORKER_STARTUP and WORKER_SHUTDOWN, and TaskiqState
@asynccontextmanager
async def lifespan() -> AsyncIterator[Pool]:
    yield Pool()
    print("pool closed")


async def measured(task: ActiveTask, call_next: AsyncHandler) -> None:
    """TaskiqMiddleware: pre_execute, post_execute and on_error in one function."""
    await call_next(task)
    print(f"{task.type} in {task.queue} done")


app = App(max_retry=3, retention=3600, lifespan=lifespan)
app.use(measured)


# TaskiqDepends
async def user_name(user: int, pool: Pool) -> str:
    return await pool.fetch(user)


async def tenant() -> str:
    return current_task().headers.get("tenant", "nobody")  # a label


@app.task(queue="mail")
async def greet(
    user: int,
    *,
    pool: Shared[Pool] = injected,
    tenant: Annotated[str, Depends(tenant)] = injected,
) -> str:
    return f"hello, {await user_name(user, pool)} of {tenant}"


@app.cron("*/5 * * * *")  # schedule=[{"cron": "*/5 * * * *"}]
async def tidy() -> None: ...


async def main() -> None:
    async with app, app.server(concurrency=10):
        # await greet.kiq(42), and task.wait_result(timeout=10)
        handle = await greet.enqueue(42)
        print(await handle.result(timeout=10))

        # await greet.kicker().with_labels(tenant="acme", delay=…).kiq(42)
        handle = await greet.options(headers={"tenant": "acme"}).enqueue(43)
        print(await handle.result(timeout=10))


if __name__ == "__main__":
    asyncio.run(main())
