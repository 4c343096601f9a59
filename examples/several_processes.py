"""Several worker processes on one machine: a supervisor starts them, replaces them, and ends them all."""

import asyncio
import atexit
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading

from asynq_py import ActiveTask, Inspector, Server, Supervisor, SyncClient, Task

logging.getLogger("asynq_py").setLevel(logging.CRITICAL)

TASKS = 40


async def who_am_i(task: ActiveTask) -> None:
    await asyncio.sleep(0.1)
    await task.write_result(str(os.getpid()).encode())


def make_server() -> Server:
    """Called once in each process."""
    return Server(None, who_am_i, concurrency=2, queues=["several"])


def watch() -> None:
    """Hand in tasks, see who did them, and then play the process manager, who sends a TERM."""
    with SyncClient() as client:
        infos = [client.enqueue(Task("who:am:i", n, queue="several", retention=60)).id for n in range(TASKS)]
        done = asyncio.run(wait_for(infos))
    print(f"{len(done)} tasks done by {len(set(done))} worker processes")
    os.kill(os.getpid(), signal.SIGTERM)


async def wait_for(ids: list[str]) -> list[int]:
    async with Inspector() as inspector:
        while True:
            infos = [await inspector.task_info("several", task_id) for task_id in ids]
            if all(info.state == "completed" for info in infos):
                return [int(info.result or b"0") for info in infos]
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    if "ASYNQ_REDIS_URL" not in os.environ:  # one in a folder, since the processes shall share it
        folder = tempfile.mkdtemp(prefix="asynq-py-example-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["ASYNQ_REDIS_URL"] = f"embedded://{folder}"
    threading.Thread(target=watch).start()
    sys.exit(asyncio.run(Supervisor(make_server, processes=2).serve()))
