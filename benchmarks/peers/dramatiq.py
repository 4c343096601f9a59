"""dramatiq: at least once. A thread for each slot; its defaults."""

from __future__ import annotations

import asyncio
import logging
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.adapter import BlockingSystem, Handler, Request, needs_one_queue
from benchmarks.answering import main


class Dramatiq(BlockingSystem):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._broker = RedisBroker(url=request.url)
        dramatiq.set_broker(self._broker)
        self._handler: Handler | None = None
        self._run = dramatiq.actor(self._handle, actor_name="run")

    async def enqueue(self, payload: bytes) -> None:
        self._run.send(payload.decode())

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        delay = max(0, round((at - time.time()) * 1_000))
        self._run.send_with_options(args=(payload.decode(),), delay=delay)

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        self._handler = handler
        worker = dramatiq.Worker(self._broker, worker_threads=self.request.concurrency)
        worker.start()
        await ended.wait()

    def _handle(self, payload: str) -> None:
        self._handler.sync(payload.encode())


if __name__ == "__main__":
    main(Dramatiq)
