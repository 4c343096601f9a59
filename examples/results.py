"""Keep what a task found out, and read it later."""

import asyncio
import json
import os

from asynq_py import ActiveTask, Client, Inspector, ServeMux, Server, Task, TaskInfo, TaskState

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

mux = ServeMux()


@mux.handler("text:count")
async def count(task: ActiveTask) -> None:
    words = task.json()["text"].split()
    # Bytes, so any format will do. A later call replaces an earlier one.
    await task.write_result(json.dumps({"words": len(words)}).encode())


async def completed(inspector: Inspector, queue: str, task_id: str) -> TaskInfo:
    """Look now and then until the task is completed."""
    while True:
        info = await inspector.task_info(queue, task_id)
        if info.state is TaskState.COMPLETED:
            return info
        await asyncio.sleep(0.05)


async def main() -> None:
    async with Client() as client, Inspector() as inspector, Server(None, mux):
        # Without retention a task is deleted as soon as it succeeds, and its result with it.
        task = Task("text:count", {"text": "the quick brown fox"})
        enqueued = await client.enqueue(task, retention=3600)

        async with asyncio.timeout(10):
            info = await completed(inspector, enqueued.queue, enqueued.id)
        assert info.result is not None
        print(f"result: {json.loads(info.result)}")
        print(f"state: {info.state}, kept for {info.retention} s")


if __name__ == "__main__":
    asyncio.run(main())
