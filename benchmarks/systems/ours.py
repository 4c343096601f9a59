"""asynq-py, as users get it: all features on, at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle

from asynq_py import ActiveTask, Client, Server, Task
from benchmarks.adapter import Handler, Request, System
from benchmarks.answering import main


class Ours(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._client = Client(request.url, payload_limit=1 << 26)
        self._queues = cycle(request.queues)

    async def enqueue(self, payload: bytes) -> None:
        await self._client.enqueue(Task("bench", payload))

    async def enqueue_batch(self, payloads: Sequence[bytes]) -> None:
        if len(self.request.queues) == 1:
            await self._client.enqueue_many([Task("bench", payload) for payload in payloads])
            return
        tasks = [
            Task("bench", payload, queue=queue)
            for payload, queue in zip(payloads, self._queues, strict=False)
        ]
        await self._client.enqueue_many(tasks)

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        await self._client.enqueue(Task("bench", payload), process_at=datetime.fromtimestamp(at, UTC))

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        async def handle(task: ActiveTask) -> None:
            await handler(task.payload)

        concurrency, queues = self.request.concurrency, self.request.queues
        async with Server(self.request.url, handle, concurrency=concurrency, queues=queues):
            await ended.wait()

    async def aclose(self) -> None:
        await self._client.aclose()


if __name__ == "__main__":
    main(Ours)
