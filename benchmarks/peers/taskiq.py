"""taskiq on Redis streams (taskiq-redis): at least once.

Settings for speed: no results, no checks of arguments, prefetch.
"""

from __future__ import annotations

import asyncio
import logging

from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from benchmarks.adapter import AbsentError, Handler, Request, System, needs_one_queue
from benchmarks.answering import main


class Taskiq(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._broker = RedisStreamBroker(request.url, consumer_id="0", unacknowledged_lock_timeout=10)
        self._handler: Handler | None = None

        async def run(payload: str) -> None:
            await self._handler(payload.encode())

        self._run = self._broker.register_task(run, task_name="run")

    async def connect(self) -> None:
        await self._broker.startup()

    async def enqueue(self, payload: bytes) -> None:
        await self._run.kiq(payload.decode())

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        raise AbsentError("delays need its scheduler, a second process")

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        self._handler = handler
        concurrency = self.request.concurrency
        working = asyncio.create_task(
            run_receiver_task(
                self._broker,
                max_async_tasks=concurrency,
                max_prefetch=concurrency,
                validate_params=False,
                run_startup=True,
            )
        )
        stop = asyncio.create_task(ended.wait())
        await asyncio.wait([working, stop], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        working.cancel()

    async def aclose(self) -> None:
        await self._broker.shutdown()


if __name__ == "__main__":
    main(Taskiq)
