"""FastAPI: endpoints enqueue typed tasks and tell how they stand. The worker is in here, or elsewhere.

`uvicorn fastapi_app:web` does both; with WORKER=elsewhere, `asynq-py worker fastapi_app:tasks` does the work,
and ASYNQ_REDIS_URL names the Redis of both, or embedded:///tmp/shop. Run as a script it sends itself some
requests.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Response
from pydantic import BaseModel

from asynq_py import App, TaskHandle, TaskNotFoundError

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

tasks = App(retention=3600)


class Order(BaseModel):
    number: int
    email: str


@tasks.task(queue="emails", max_retry=5, timeout=30)
async def send_receipt(order: Order) -> str:
    return f"receipt {order.number} sent to {order.email}"


@asynccontextmanager
async def lifespan(web: FastAPI) -> AsyncGenerator[None]:
    # Left in the opposite order: first the server, which lets running tasks end, then what they may use.
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(tasks)
        web.state.server = None
        if os.environ.get("WORKER") != "elsewhere":
            web.state.server = await stack.enter_async_context(tasks.server(concurrency=20))
        yield


web = FastAPI(lifespan=lifespan)


async def receipt(task_id: str) -> TaskHandle[str]:
    """A dependency: the task of the path. It is no plain function, as FastAPI runs those in threads."""
    return send_receipt.handle(task_id)


@web.post("/orders", status_code=202)
async def take(order: Order) -> dict[str, str]:
    """Answer at once; the work is done later."""
    handle = await send_receipt.enqueue(order)
    return {"task": handle.id}


@web.get("/receipts/{task_id}")
async def status(handle: Annotated[TaskHandle[str], Depends(receipt)]) -> dict[str, str | None]:
    try:
        info = await handle.info()
    except TaskNotFoundError:
        raise HTTPException(404, "no such task") from None
    result = await handle.result() if info.state == "completed" else None
    return {"state": info.state, "result": result}


@web.get("/health")
async def health(response: Response) -> dict[str, str]:
    """Fail when the server has ended by itself, so that this process is started again."""
    server = web.state.server
    if server is not None and server.state == "closed":
        response.status_code = 503
    return {"worker": "elsewhere" if server is None else server.state}


async def main() -> None:
    transport = httpx.ASGITransport(web)
    async with (
        web.router.lifespan_context(web),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as browser,
    ):
        answer = await browser.post("/orders", json={"number": 7, "email": "ada@example.org"})
        print(f"POST /orders: {answer.status_code}")
        seen = {"state": ""}
        while seen["state"] != "completed":
            await asyncio.sleep(0.05)
            seen = (await browser.get(f"/receipts/{answer.json()['task']}")).json()
        print(f"GET /receipts/…: {seen['result']}")


if __name__ == "__main__":
    asyncio.run(main())
