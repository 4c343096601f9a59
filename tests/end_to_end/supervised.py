"""A supervised program: `python -m tests.end_to_end.supervised URL PROCESSES KIND`, KIND: works or breaks."""

from __future__ import annotations

import asyncio
import functools
import os
import sys

from asynq_py import ActiveTask, Server, Supervisor


async def handler(task: ActiveTask) -> None:
    if task.type == "die":
        os._exit(9)
    await asyncio.sleep(float(task.payload or 0))


def make(url: str) -> Server:
    return Server(url, handler, lease=2, recover_interval=0.2, concurrency=5)


def broken(url: str) -> Server:
    sys.exit(78)


if __name__ == "__main__":
    kind = make if sys.argv[3] == "works" else broken
    sys.exit(
        asyncio.run(Supervisor(functools.partial(kind, sys.argv[1]), processes=int(sys.argv[2])).serve())
    )
