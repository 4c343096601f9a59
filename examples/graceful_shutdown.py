"""What a deploy does to running tasks: short ones finish, long ones are handed back and run elsewhere.

A worker process is `asyncio.run(Server(...).serve())`; the process manager sends it a TERM. Here the script
sends that to itself.
"""

import asyncio
import logging
import os
import signal

from asynq_py import ActiveTask, CancelReason, Client, Inspector, ServeMux, Server, Task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.ERROR)

started: asyncio.Queue[str] = asyncio.Queue()
is_first_worker = True

mux = ServeMux()


@mux.handler("short")
async def short(task: ActiveTask) -> None:
    started.put_nowait(task.type)
    await asyncio.sleep(0.3)
    print("short: done, although the worker was told to end")


@mux.handler("long")
async def long(task: ActiveTask) -> None:
    started.put_nowait(task.type)
    if not is_first_worker:
        print("long: done by the next worker")
        return
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        # the place to save how far we came; raise it again
        assert task.cancel_reason is CancelReason.SHUTDOWN
        print("long: cancelled, handing the task back")
        raise


async def terminate_when_busy() -> None:
    """Play the process manager."""
    await started.get()
    await started.get()
    os.kill(os.getpid(), signal.SIGTERM)


async def main() -> None:
    global is_first_worker
    async with Client() as client, Inspector() as inspector:
        await client.enqueue(Task("short"))
        info = await client.enqueue(Task("long"))

        server = Server(None, mux, shutdown_timeout=1.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(terminate_when_busy())
            await server.serve()
        info = await inspector.task_info(info.queue, info.id)
        print(f"the worker has ended; long: {info.state}, {info.retried} retries used")

        is_first_worker = False
        async with Server(None, mux):
            await started.get()


if __name__ == "__main__":
    asyncio.run(main())
