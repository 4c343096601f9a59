"""SAQ: at least once (tasks of dead workers are swept and tried again).

Settings for speed: no results, as many operations at once as there are slots.
"""

from __future__ import annotations

import asyncio
import logging

from saq import Queue, Worker

from benchmarks.adapter import Handler, Request, System, needs_one_queue
from benchmarks.answering import main


class Saq(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._queue = Queue.from_url(request.url, max_concurrent_ops=max(20, request.concurrency))
        self._options = {"ttl": -1, "retries": 25, "timeout": 1800}  # ttl: keep no result

    async def enqueue(self, payload: bytes) -> None:
        await self._queue.enqueue("run", payload=payload.decode(), **self._options)

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        await self._queue.enqueue("run", payload=payload.decode(), scheduled=int(at), **self._options)

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        async def run(context: dict, *, payload: str) -> None:
            await handler(payload.encode())

        worker = Worker(self._queue, [("run", run)], concurrency=self.request.concurrency)
        working = asyncio.create_task(worker.start())
        stop = asyncio.create_task(ended.wait())
        await asyncio.wait([working, stop], return_when=asyncio.FIRST_COMPLETED)
        await worker.stop()

    async def aclose(self) -> None:
        await self._queue.disconnect()


if __name__ == "__main__":
    main(Saq)
