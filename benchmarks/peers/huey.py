"""huey: at most once (a task leaves Redis before it runs).

A thread for each slot. Settings for speed: no results.
"""

from __future__ import annotations

import asyncio
import logging
import time

from huey import RedisHuey

from benchmarks.adapter import BlockingSystem, Handler, Request, needs_one_queue
from benchmarks.answering import main


class Huey(BlockingSystem):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._huey = RedisHuey(
            "bench", url=f"{request.url}?max_connections={request.concurrency + 20}", results=False
        )
        self._handler: Handler | None = None
        self._run = self._huey.task(name="run")(self._handle)

    async def enqueue(self, payload: bytes) -> None:
        self._run(payload)

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        self._run.schedule((payload,), delay=max(0.0, at - time.time()))

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        self._handler = handler
        self._huey.create_consumer(workers=self.request.concurrency, periodic=False).start()
        await ended.wait()

    def _handle(self, payload: bytes) -> None:
        self._handler.sync(payload)


if __name__ == "__main__":
    main(Huey)
