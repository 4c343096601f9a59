"""Litestar: a plugin opens what tasks need with the application, and a worker beside if that is wanted.

`litestar --app litestar_app:web run`. Run as a script it sends itself some requests.
"""

import asyncio
import os
from typing import Any

from litestar import Litestar, Request, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.testing import AsyncTestClient

from asynq_py import App, TaskNotFoundError
from asynq_py.integrations.litestar import AsynqPlugin, server_of

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

tasks = App(retention=3600)


@tasks.task(queue="images", timeout=30)
async def make_thumbnail(picture: str) -> str:
    return f"small-{picture}"


@post("/pictures", status_code=202)
async def upload(request: Request[Any, Any, Any]) -> dict[str, str]:
    handle = await make_thumbnail.enqueue((await request.json())["picture"])
    return {"task": handle.id}


@get("/thumbnails/{task_id:str}")
async def status(task_id: FromPath[str]) -> dict[str, str | None]:
    handle = make_thumbnail.handle(task_id)
    try:
        info = await handle.info()
    except TaskNotFoundError:
        raise NotFoundException("no such task") from None
    return {"state": info.state, "result": await handle.result() if info.state == "completed" else None}


@get("/queues")
async def queues(asynq: NamedDependency[App]) -> list[str]:
    """The app is given by the name that the plugin was told."""
    return await asynq.inspector.queues()


@get("/health")
async def health(state: State) -> dict[str, str]:
    server = server_of(state)
    return {"worker": "elsewhere" if server is None else server.state}


web = Litestar(
    [upload, status, queues, health],
    plugins=[AsynqPlugin(tasks, worker={"concurrency": 20})],  # without `worker`, workers are elsewhere
    logging_config=None,  # logging stays as the program has it
)


async def main() -> None:
    async with AsyncTestClient(web) as browser:
        answer = await browser.post("/pictures", json={"picture": "cat.png"})
        print(f"POST /pictures: {answer.status_code}")
        seen: dict[str, Any] = {"state": ""}
        while seen["state"] != "completed":
            await asyncio.sleep(0.05)
            seen = (await browser.get(f"/thumbnails/{answer.json()['task']}")).json()
        print(f"GET /thumbnails/…: {seen['result']}")
        print((await browser.get("/queues")).json(), (await browser.get("/health")).json())


if __name__ == "__main__":
    asyncio.run(main())
