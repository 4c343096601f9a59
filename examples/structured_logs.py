"""structlog: every line below a handler names its task, whoever writes it."""

import asyncio
import logging
import os
import threading

import structlog

from asynq_py import ActiveTask, AsyncHandler, Client, ServeMux, Server, Task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.JSONRenderer(sort_keys=True),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
)
log = structlog.get_logger()
finished = threading.Event()


async def with_task(task: ActiveTask, call_next: AsyncHandler) -> None:
    """Each try runs in a context of its own, so nothing has to be unbound."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        task_id=task.id, type=task.type, queue=task.queue, attempt=task.retried + 1
    )
    await call_next(task)


mux = ServeMux()
mux.use(with_task)


@mux.handler("mail:send")
def send(task: ActiveTask) -> None:  # in a thread, which sees the same context
    connect()
    log.info("sent", to=task.json()["to"])
    finished.set()


def connect() -> None:
    log.info("connected")  # far below, and it knows nothing of tasks


async def main() -> None:
    async with Client() as client, Server(None, mux, concurrency=1):
        await client.enqueue(Task("mail:send", {"to": "ada"}, task_id="a"))
        await asyncio.to_thread(finished.wait, 20)


if __name__ == "__main__":
    asyncio.run(main())
