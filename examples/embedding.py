"""A web application that runs its own tasks: requests enqueue, the same process does the work.

Under a real server: `uvicorn examples.embedding:app`. Run as a script it sends itself one request.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from asynq_py import ActiveTask, Client, Inspector, ServeMux, Server, Task, TaskNotFoundError

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

mux = ServeMux()


@mux.handler("thumbnail:make")
async def make_thumbnail(task: ActiveTask) -> None:
    picture = task.json()["picture"]
    await task.write_result(f"small-{picture}".encode())


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    # Left in the opposite order: first the server, which lets running tasks end, then what they may use.
    async with Client() as client, Inspector() as inspector, Server(None, mux, concurrency=20) as server:
        app.state.client = client
        app.state.inspector = inspector
        app.state.server = server
        yield


async def upload(request: Request) -> JSONResponse:
    """Answer at once; the work is done later."""
    client: Client = request.app.state.client
    info = await client.enqueue(Task("thumbnail:make", await request.json()), retention=3600)
    return JSONResponse({"task": info.id}, status_code=202)


async def status(request: Request) -> JSONResponse:
    inspector: Inspector = request.app.state.inspector
    try:
        info = await inspector.task_info("default", request.path_params["task"])
    except TaskNotFoundError:
        return JSONResponse({"error": "no such task"}, status_code=404)
    return JSONResponse({"state": info.state, "result": info.result.decode() if info.result else None})


async def health(request: Request) -> JSONResponse:
    """Fail when the server has ended by itself, so that this process is started again."""
    server: Server = request.app.state.server
    return JSONResponse({"server": server.state}, status_code=503 if server.state == "closed" else 200)


app = Starlette(
    routes=[
        Route("/pictures", upload, methods=["POST"]),
        Route("/tasks/{task}", status),
        Route("/health", health),
    ],
    lifespan=lifespan,
)


async def main() -> None:
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as web:
        answer = await web.post("http://localhost/pictures", json={"picture": "cat.png"})
        print(f"POST /pictures: {answer.status_code}")
        task = answer.json()["task"]
        seen = {"state": ""}
        while seen["state"] != "completed":
            await asyncio.sleep(0.05)
            seen = (await web.get(f"http://localhost/tasks/{task}")).json()
        print(f"GET /tasks/…: {seen['state']}, result {seen['result']}")


if __name__ == "__main__":
    asyncio.run(main())
