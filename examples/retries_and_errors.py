"""How a handler says what shall become of its task: by how it ends."""

import asyncio
import logging
import os

from asynq_py import (
    ActiveTask,
    Client,
    Inspector,
    RetryLater,
    RevokeTask,
    ServeMux,
    Server,
    SkipRetry,
    Task,
    TaskNotFoundError,
    TaskState,
)

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # these failures are meant

mux = ServeMux()


@mux.handler("flaky")
async def flaky(task: ActiveTask) -> None:
    """Any error: the task is tried again, later each time, until max_retry is used up."""
    if task.retried < 2:
        raise ConnectionError("the other side hung up")


@mux.handler("hopeless")
async def hopeless(task: ActiveTask) -> None:
    """No retry can help: put the task into the archive, where somebody can look at it."""
    raise SkipRetry("the payload names no customer")


@mux.handler("pointless")
async def pointless(task: ActiveTask) -> None:
    """There is nothing left to do: forget the task."""
    raise RevokeTask


called = 0


@mux.handler("throttled")
async def throttled(task: ActiveTask) -> None:
    """Not now, and not a failure: try again after a delay, as often as need be."""
    global called
    called += 1
    if called == 1:
        raise RetryLater(1, "the other side asks us to slow down")


@mux.handler("endless")
async def endless(task: ActiveTask) -> None:
    """A timeout arrives as CancelledError; clean up in `finally`. It counts as a failure."""
    await asyncio.sleep(3600)


def short_delay(failures: int, error: BaseException, task: ActiveTask) -> float:
    """Seconds until the next try. The default begins at 15 s and grows with the fourth power."""
    return 0.1 * (failures + 1)


async def on_error(task: ActiveTask, error: BaseException) -> None:
    """Called after each failed try: the place for Sentry and the like."""
    print(f"{task.type}, try {task.retried + 1}: {type(error).__name__}: {error}")


async def main() -> None:
    server = Server(None, mux, retry_delay=short_delay, error_handler=on_error)
    async with Client() as client, Inspector() as inspector, server:
        tasks = [
            Task("flaky", max_retry=5),
            Task("hopeless"),
            Task("pointless"),
            Task("throttled", max_retry=0),
            Task("endless", timeout=1, max_retry=0),
        ]
        # retention keeps those that succeed, so that we can look at them below
        ids = [(await client.enqueue(task, retention=60)).id for task in tasks]
        for task, task_id in zip(tasks, ids, strict=True):
            print(f"{task.type}: {await ending(inspector, task_id)}")


async def ending(inspector: Inspector, task_id: str) -> str:
    """Wait until a task has ended, and say how."""
    while True:
        try:
            info = await inspector.task_info("default", task_id)
        except TaskNotFoundError:
            return "forgotten"
        if info.state is TaskState.COMPLETED:
            return f"completed after {info.retried} failures"
        if info.state is TaskState.ARCHIVED:
            return f"archived: {info.last_error}"
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
