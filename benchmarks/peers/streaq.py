"""streaq, on Redis streams: at least once. Settings for speed: no results, no log of each task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from streaq import Worker

from benchmarks.adapter import Handler, Request, System, needs_one_queue
from benchmarks.answering import main


class Streaq(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._worker = Worker(redis_url=request.url, concurrency=request.concurrency, handle_signals=False)
        self._run = self._worker.task(ttl=0, silent=True, name="run")(self._handle)
        self._handler: Handler | None = None
        self._open = AsyncExitStack()

    async def connect(self) -> None:
        await self._open.enter_async_context(self._worker)

    async def enqueue(self, payload: bytes) -> None:
        await self._run.enqueue(payload)

    async def enqueue_batch(self, payloads: Sequence[bytes]) -> None:
        await self._worker.enqueue_many([self._run.enqueue(payload) for payload in payloads])

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        await self._run.enqueue(payload).start(schedule=datetime.fromtimestamp(at, UTC))

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        self._handler = handler
        working = asyncio.create_task(self._worker.run_async())
        stop = asyncio.create_task(ended.wait())
        await asyncio.wait([working, stop], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        working.cancel()

    async def aclose(self) -> None:
        await self._open.aclose()

    async def _handle(self, payload: bytes) -> None:
        await self._handler(payload)


if __name__ == "__main__":
    main(Streaq)
