"""arq: at least once. Settings for speed: it polls every 10 ms instead of 500, and keeps no results."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from benchmarks.adapter import Handler, Request, System, needs_one_queue
from benchmarks.answering import main


class Arq(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._settings = RedisSettings.from_dsn(request.url)
        self._pool = None

    async def connect(self) -> None:
        self._pool = await create_pool(self._settings)

    async def enqueue(self, payload: bytes) -> None:
        await self._pool.enqueue_job("run", payload)

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        await self._pool.enqueue_job("run", payload, _defer_until=datetime.fromtimestamp(at, UTC))

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        async def run(context: dict, payload: bytes) -> None:
            await handler(payload)

        worker = Worker(
            [func(run, name="run", keep_result=0)],
            redis_settings=self._settings,
            max_jobs=self.request.concurrency,
            poll_delay=0.01,
            handle_signals=False,
        )
        working = asyncio.create_task(worker.async_run())
        stop = asyncio.create_task(ended.wait())
        await asyncio.wait([working, stop], return_when=asyncio.FIRST_COMPLETED)
        await worker.close()

    async def aclose(self) -> None:
        await self._pool.aclose()


if __name__ == "__main__":
    main(Arq)
