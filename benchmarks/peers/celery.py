"""Celery, by its thread pool: at least once (`task_acks_late`).

Settings for speed: no results, no gossip, no mingling, no remote control.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import UTC, datetime

from celery import Celery
from celery.worker import WorkController

from benchmarks.adapter import BlockingSystem, Handler, Request, needs_one_queue
from benchmarks.answering import main


class CeleryThreads(BlockingSystem):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._app = Celery("bench", broker=request.url, set_as_current=True)
        self._app.conf.update(
            task_acks_late=True,
            task_ignore_result=True,
            worker_send_task_events=False,
            worker_enable_remote_control=False,
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
        )
        self._handler: Handler | None = None

        def run(payload: str) -> None:
            self._handler.sync(payload.encode())

        self._run = self._app.task(run, name="run")

    async def enqueue(self, payload: bytes) -> None:
        self._run.delay(payload.decode())

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        self._run.apply_async((payload.decode(),), eta=datetime.fromtimestamp(at, UTC))

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        self._handler = handler
        worker = WorkController(
            app=self._app,
            pool="threads",
            concurrency=self.request.concurrency,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        threading.Thread(target=worker.start, daemon=True).start()
        await ended.wait()


if __name__ == "__main__":
    main(CeleryThreads)
