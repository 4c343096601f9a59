"""ardiq (Rust core, Redis streams): at least once. Its defaults, results included."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import cycle

from ardiq import Ardiq

from benchmarks.adapter import Handler, Request, System
from benchmarks.answering import main


class ArdiqSystem(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        logging.disable()
        lanes = (
            {"priorities": list(request.queues), "weights": dict(request.queues)}
            if len(request.queues) > 1
            else {}
        )
        self._app = Ardiq(redis_url=request.url, queue_name="bench", concurrency=request.concurrency, **lanes)
        self._lanes = cycle(lanes.get("priorities", [None]))
        self._handler: Handler | None = None
        self._run = self._app.task(name="run")(self._handle)

    async def enqueue(self, payload: bytes) -> None:
        await self._run.enqueue(payload)

    async def enqueue_batch(self, payloads: Sequence[bytes]) -> None:
        run = self._run
        await self._app.enqueue_many(
            run.options(priority=lane).prepare(payload) if lane else run.prepare(payload)
            for payload, lane in zip(payloads, self._lanes, strict=False)
        )

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        await self._run.options(schedule_ms=round(at * 1_000)).enqueue(payload)

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        self._handler = handler
        working = asyncio.create_task(self._app.run())
        stop = asyncio.create_task(ended.wait())
        await asyncio.wait([working, stop], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        self._app.stop()

    async def _handle(self, payload: bytes) -> None:
        await self._handler(payload)


if __name__ == "__main__":
    main(ArdiqSystem)
