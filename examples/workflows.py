"""Flows: tasks that follow each other, fan out, come together again, and are followed up."""

import asyncio
import logging
import os
from dataclasses import dataclass

from asynq_py import App, FlowFailedError, FlowFailure, SkipRetry, chain, gather

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")  # or a Redis of yours
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # one task fails on purpose
app = App()
alerted = asyncio.Event()


@dataclass
class Image:
    path: str
    width: int


@app.task
async def fetch(url: str) -> Image:
    if not url.startswith("https:"):
        raise SkipRetry("not that way")
    return Image(url.rpartition("/")[2], 1000)


@app.task
def resize(image: Image, width: int) -> Image:
    return Image(image.path, width)


@app.task
async def publish(images: list[Image]) -> str:
    return " ".join(f"{image.path}@{image.width}" for image in images)


@app.task
async def alert(failure: FlowFailure) -> None:
    print("alert:", failure["task_type"], failure["error"])
    alerted.set()


async def main() -> None:
    flow = chain(
        fetch.step("https://example.com/cat.png"),
        gather(resize.step(100), resize.step(500)),
        publish.step(),
    )
    async with app.server():
        handle = await flow.enqueue(name="thumbnails")
        print(await handle.result(timeout=10))
        done, total = await handle.progress()
        print(done, "of", total)

        careful = chain(fetch.step("ftp://example.com/cat.png"), resize.step(100)).on_failure(alert.step())
        handle_of_careful = await careful.enqueue()
        async with asyncio.timeout(10):
            await alerted.wait()
        try:
            await handle_of_careful.result(timeout=10)
        except FlowFailedError as error:
            print("failed:", error.error)
        for step in (await handle_of_careful.info()).steps:
            print(step.id, step.type, step.state.value)


asyncio.run(main())
