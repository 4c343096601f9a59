import asyncio
import os

from asynq_py import ActiveTask, Client, ServeMux, Server, Task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")  # or a Redis of yours
mux = ServeMux()
sent = asyncio.Event()


@mux.handler("email:welcome")
async def welcome(task: ActiveTask) -> None:
    print(f"welcome, user {task.json()['user_id']}")
    sent.set()


async def main() -> None:
    async with Client() as client, Server(None, mux):
        await client.enqueue(Task("email:welcome", {"user_id": 42}), max_retry=5, timeout=30)
        await sent.wait()


asyncio.run(main())
