"""A worker that tells of itself each second: `python -m tests.verify.load.worker URL`, an object a line."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from pathlib import Path

from asynq_py import ActiveTask, ServeMux, Server
from tests.verify.load.sample import Sample, quantile

CONCURRENCY = 100
SENT = "sent"  # the header that holds when a task was enqueued


class Load:
    def __init__(self) -> None:
        self.done = 0
        self.waits: list[float] = []

    def note(self, task: ActiveTask) -> None:
        self.done += 1
        self.waits.append(time.time() - float(task.headers[SENT]))

    async def nothing(self, task: ActiveTask) -> None:
        self.note(task)

    async def short(self, task: ActiveTask) -> None:
        self.note(task)
        await asyncio.sleep(0.001)

    def plain(self, task: ActiveTask) -> None:
        self.note(task)
        time.sleep(0.01)  # in a thread

    def sample(self) -> Sample:
        waits, self.waits = sorted(self.waits), []
        return Sample(
            at=time.monotonic(),
            done=self.done,
            rss=int(Path("/proc/self/statm").read_text().split()[1]) * 4096,
            tasks=len(asyncio.all_tasks()),
            threads=threading.active_count(),
            files=len(list(Path("/proc/self/fd").iterdir())),
            p50=quantile(waits, 0.5),
            p99=quantile(waits, 0.99),
        )


async def main(url: str) -> None:
    load, mux = Load(), ServeMux()
    mux.handle("nothing", load.nothing)
    mux.handle("short", load.short)
    mux.handle("plain", load.plain)
    async with Server(url, mux, concurrency=CONCURRENCY, thread_limit=4):
        while True:
            await asyncio.sleep(1)
            gc.collect()  # what is only not yet collected is no growth
            sys.stdout.write(json.dumps(load.sample()._asdict()) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
