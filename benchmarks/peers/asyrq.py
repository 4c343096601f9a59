"""asyrq, a port of asynq to Python with keys of its own: at least once. Its defaults; it logs errors only."""

from __future__ import annotations

import asyncio
from itertools import cycle

from asyrq import Client, Config, Logger, Server, Task
from redis.asyncio import Redis

from benchmarks.adapter import Handler, Request, System
from benchmarks.answering import main


class Silent(Logger):
    def debug(self, *_: object, **__: object) -> None: ...

    info = warn = error = fatal = debug


class Asyrq(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._client = Client(redis_client=Redis.from_url(request.url), logger=Silent())
        self._queues = cycle(request.queues)

    async def enqueue(self, payload: bytes) -> None:
        await self._client.enqueue(Task("bench", payload), queue=next(self._queues))

    async def enqueue_at(self, payload: bytes, at: float) -> None:
        await self._client.enqueue(Task("bench", payload), process_at=int(at) * 1_000_000_000)

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        config = Config(
            concurrency=self.request.concurrency, queues=dict(self.request.queues), logger=Silent()
        )
        server = Server(config=config, redis_client=Redis.from_url(self.request.url))

        @server.task("bench")
        async def run(context: object, task: Task) -> None:
            await handler(task.payload)

        await server.start()
        await ended.wait()


if __name__ == "__main__":
    main(Asyrq)
