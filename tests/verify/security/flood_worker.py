"""A worker to be flooded: `python -m tests.verify.security.flood_worker URL`."""

from __future__ import annotations

import asyncio
import sys

from asynq_py import ActiveTask, Server

CONCURRENCY = 10


async def handle(task: ActiveTask) -> None:
    assert len(task.headers) >= 0
    await asyncio.sleep(0.002)


if __name__ == "__main__":
    asyncio.run(Server(sys.argv[1], handle, concurrency=CONCURRENCY).serve())
