"""repid, on Redis streams: at least once (tasks of dead workers are claimed).

Settings for speed: batches of as many as there are slots, 100 at most.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from repid import Message, RedisServer, Repid, Router

from benchmarks.adapter import Handler, Request, System, needs_one_queue
from benchmarks.answering import main


class RepidSystem(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        logging.disable()
        self._server = RedisServer(request.url, batch_size=min(100, request.concurrency), claim_interval=30.0)
        self._app = Repid(title="bench")
        self._app.servers.register_server("default", self._server, is_default=True)
        self._handler: Handler | None = None
        self._open = AsyncExitStack()

    async def connect(self) -> None:
        await self._open.enter_async_context(self._server.connection())

    async def enqueue(self, payload: bytes) -> None:
        await self._app.send_message(channel="default", payload=payload, headers={"topic": "run"})

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        router = Router()

        async def run(message: Message) -> None:
            await handler(message.payload)

        router.actor(run, name="run")
        self._app.include_router(router)
        async with self._server.connection():
            working = asyncio.create_task(self._app.run_worker(tasks_limit=self.request.concurrency))
            stop = asyncio.create_task(ended.wait())
            await asyncio.wait([working, stop], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            working.cancel()

    async def aclose(self) -> None:
        await self._open.aclose()


if __name__ == "__main__":
    main(RepidSystem)
