"""Tasks are functions: their arguments become the payload, and what they return comes back."""

import asyncio
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from asynq_py import App, PayloadError, Router, Task, TaskFailedError

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # the failure is meant

app = App(retention=60)  # results are kept for a minute
images = Router("image", queue="images")


@app.task(max_retry=5, timeout=30)
async def send_welcome(user_id: int, *, template: str = "hello") -> str:
    return f"{template}, user {user_id}"


@dataclass
class Image:
    path: str
    taken_at: datetime


@images.task(executor="process", timeout=20)
def resize(image: Image, width: int = 100) -> Image:
    return Image(f"{image.path}@{width}", image.taken_at)


@app.cron("0 9 * * mon-fri", timezone="Europe/Paris")
async def report() -> None:
    print("good morning")


app.include(images)


async def main() -> None:
    async with app, app.server():
        handle = await send_welcome.enqueue(42, template="hi")
        print(await handle.result(timeout=10))

        resized = await resize.enqueue(Image("cat.png", datetime(2026, 1, 31, tzinfo=UTC)))
        print(resized.type, await resized.result(timeout=20))

        later = await send_welcome.options(process_in=3600).enqueue(43)
        print(await later.status(), await later.cancel())

        handles = await app.enqueue_many(
            [send_welcome.task(1), resize.options(process_in=60).task(Image("a", datetime.now(UTC)))]
        )
        print([type(handle).__name__ for handle in handles])

        try:
            await send_welcome.enqueue("forty-two")  # type: ignore[arg-type]  # a type checker says so, too
        except PayloadError as error:
            print("refused:", error)

        # From elsewhere, by a client that does not know better: archived at once, not tried 25 times.
        info = await app.client.enqueue(Task("send_welcome", {"user_id": "forty-two"}))
        try:
            await send_welcome.handle(info.id).result(timeout=10)
        except TaskFailedError as error:
            print("archived:", error.error)

        print("without any queue:", await send_welcome(7))


if __name__ == "__main__":
    asyncio.run(main())
