"""A task says how far it has come, and others look."""

import asyncio
import os

from asynq_py import App, current_task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
app = App(retention=60)
asked = asyncio.Event()


@app.task
async def print_book(pages: int) -> None:
    for page in range(1, pages + 1):
        current_task().progress(page, pages, f"page {page}")
        if page == 1:
            await asked.wait()  # so that there is something to see in an example
        await asyncio.sleep(0)


async def main() -> None:
    async with app, app.server():
        handle = await print_book.enqueue(20)
        while True:
            progress = await handle.progress()
            if progress is not None:
                break
            await asyncio.sleep(0.05)
        print("running:", progress)
        asked.set()
        await handle.result(timeout=10)
        print("done:", await handle.progress())


if __name__ == "__main__":
    asyncio.run(main())
