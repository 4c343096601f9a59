import asyncio
import os

from asynq_py import App

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")  # or a Redis of yours
app = App(retention=60)  # results are kept for a minute


@app.task(max_retry=5, timeout=30)
async def send_welcome(user_id: int, *, template: str = "hello") -> str:
    return f"{template}, user {user_id}"


async def main() -> None:
    async with app.server():
        handle = await send_welcome.enqueue(42, template="welcome")
        print(await handle.result(timeout=10))


asyncio.run(main())
