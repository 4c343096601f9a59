"""A supervised program: `python -m tests.end_to_end.supervised URL PROCESSES KIND [FOLDER]`.

KIND: "works"; "breaks", it cannot start; "holds", its leases last for an hour; "stumbles", the same, and its
second start fails (FOLDER remembers); "dies", the same as "holds", and no life of it is called long.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import asynq_py.server.supervisor
from asynq_py import ActiveTask, Server, Supervisor
from tests.eventually import eventually


async def handler(task: ActiveTask) -> None:
    if task.type == "die":
        os._exit(9)
    if task.type == "die late":
        await asyncio.sleep(2.5)  # as below
        os._exit(9)
    if task.type == "hang" and not task.crashes:
        await asyncio.sleep(2.5)
        task.progress(1)  # by now the supervisor has been told: that is done on this loop, every second
        await asyncio.Event().wait()
    if task.type == "wait for file":
        await eventually(lambda: asyncio.to_thread(os.path.exists, task.payload), within=60)


def make(url: str) -> Server:
    return Server(url, handler, lease=6, recover_interval=0.2, concurrency=5, shutdown_timeout=1000)


def broken(url: str) -> Server:
    sys.exit(78)


def holding(url: str) -> Server:
    return Server(url, handler, lease=3600, concurrency=5)


def stumbling(url: str, folder: str) -> Server:
    start = len(os.listdir(folder))
    Path(folder, str(start)).touch()
    if start == 1:
        sys.exit(78)
    return holding(url)


if __name__ == "__main__":
    url, processes, kind, *more = sys.argv[1:]
    kinds: dict[str, Callable[..., Server]] = {
        "works": make, "breaks": broken, "holds": holding, "stumbles": stumbling, "dies": holding,
    }  # fmt: skip
    if kind == "dies":
        asynq_py.server.supervisor.SHORT_LIFE = 3600.0  # type: ignore[misc]
    supervisor = Supervisor(functools.partial(kinds[kind], url, *more), processes=int(processes))
    sys.exit(asyncio.run(supervisor.serve()))
