"""What a worker of arq becomes: see docs/guide/migrate-from-arq.md."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx

from asynq_py import App, DuplicateTaskError, RetryLater, Shared, TaskIDConflictError, current_task, injected

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")


# on_startup, on_shutdown and ctx
@asynccontextmanager
async def lifespan() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as web:
        yield web


app = App(max_retry=4, timeout=300, retention=3600, lifespan=lifespan)


@app.task
async def download(url: str, *, web: Shared[httpx.AsyncClient] = injected) -> int:
    response = await web.get(url)
    if response.status_code == 503:
        raise RetryLater(1)  # Retry(defer=1), but it does not use up a try
    return len(response.text)


@app.cron("30 5 * * mon")
async def weekly_report() -> None:
    print(f"report, try {current_task().retried + 1}")


def answer(request: httpx.Request) -> httpx.Response:
    is_first = request.url not in seen
    seen.add(request.url)
    return httpx.Response(503 if is_first and request.url.path == "/busy" else 200, text="hello")


seen: set[httpx.URL] = set()


async def main() -> None:
    async with app, app.server(concurrency=10, forward_interval=0.1):
        handle = await download.enqueue("http://example.org/")
        print(await handle.result(timeout=10))

        later = await download.options(process_in=timedelta(minutes=1)).enqueue("http://example.org/")
        print(await later.status(), await later.cancel())

        # _job_id: a second one of this ID is refused for as long as the first is kept
        once = download.options(task_id="download-1")
        busy = await once.enqueue("http://example.org/busy")
        try:
            await once.enqueue("http://example.org/busy")
        except TaskIDConflictError:
            print("already there")
        print(await busy.result(timeout=20))

        # or: no second one of these arguments until it has succeeded, or ten minutes are over
        unique = download.options(unique=600, process_in=60)
        await unique.enqueue("http://example.org/")
        try:
            await unique.enqueue("http://example.org/")
        except DuplicateTaskError:
            print("a duplicate")


if __name__ == "__main__":
    asyncio.run(main())
