"""RQ, by its SimpleWorker: one task at a time, in the worker's process (its default forks for each: slower).

At most once: a task of a dead worker is moved to the failed ones. Settings for speed: no results. The alarm
that ends overlong tasks is off, as signals need the main thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

from redis import Redis
from rq import Queue, SimpleWorker
from rq.timeouts import BaseDeathPenalty

from benchmarks.adapter import AbsentError, BlockingSystem, Handler, Request, needs_one_queue
from benchmarks.answering import main

HANDLERS: list[Handler] = []


def run(payload: bytes) -> None:
    HANDLERS[0].sync(payload)


class NoAlarm(BaseDeathPenalty):
    def setup_death_penalty(self) -> None: ...

    def cancel_death_penalty(self) -> None: ...


class Quiet(SimpleWorker):
    death_penalty_class = NoAlarm

    def _install_signal_handlers(self) -> None: ...


class Rq(BlockingSystem):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._redis = Redis.from_url(request.url)
        self._queue = Queue("bench", connection=self._redis)

    async def enqueue(self, payload: bytes) -> None:
        self._queue.enqueue(run, payload, result_ttl=0)

    async def enqueue_batch(self, payloads: Sequence[bytes]) -> None:
        self._queue.enqueue_many([Queue.prepare_data(run, (payload,), result_ttl=0) for payload in payloads])

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        raise AbsentError("delays need its scheduler, a second process")

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        if self.request.concurrency > 1 and self.request.figure in ("drain", "through", "load"):
            raise AbsentError("one task at a time")
        HANDLERS.append(handler)
        worker = Quiet([self._queue], connection=self._redis)
        threading.Thread(target=worker.work, daemon=True).start()
        await ended.wait()


if __name__ == "__main__":
    from benchmarks.peers.rq import Rq as Importable  # RQ takes no tasks from __main__

    main(Importable)
