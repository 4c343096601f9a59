"""asynq-py, as users get it: all features on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from asynq_py import ActiveTask, Client, Server, Task
from benchmarks.adapter import main


class Ours:
    def __init__(self, url: str) -> None:
        self._url = url
        self._client = Client(url, payload_limit=1 << 26)

    async def fill(self, tasks: int, payload: bytes) -> None:
        await self._client.enqueue_many(Task("bench", payload) for _ in range(tasks))

    async def enqueue(self, payload: bytes) -> None:
        await self._client.enqueue(Task("bench", payload))

    async def enqueue_batch(self, payloads: list[bytes]) -> None:
        await self._client.enqueue_many([Task("bench", payload) for payload in payloads])

    async def work(self, concurrency: int, handle: Callable[[], Any], ended: asyncio.Event) -> None:
        async def handler(task: ActiveTask) -> None:
            await handle()

        async with Server(self._url, handler, concurrency=concurrency):
            await ended.wait()

    async def aclose(self) -> None:
        await self._client.aclose()


if __name__ == "__main__":
    main(Ours)
