"""A scheduler process: `python -m tests.end_to_end.scheduler URL KIND ENTRIES`, until TERM or INT.

KIND: "scheduler" or "manager", which are the same to all others. ENTRIES: how many; each is due every second,
goes by its number and has a queue of that name.
"""

from __future__ import annotations

import asyncio
import sys

from asynq_py import PeriodicTask, PeriodicTaskManager, Scheduler, Task


def entries(count: int) -> list[PeriodicTask]:
    return [
        PeriodicTask("@every 1s", Task("t"), name=str(n), queue=str(n), missed=1000) for n in range(count)
    ]


async def main(url: str, kind: str, count: int) -> None:
    if kind == "manager":

        async def provider() -> list[PeriodicTask]:
            return entries(count)

        await PeriodicTaskManager(url, provider, sync_interval=0.1).serve()
    else:
        scheduler = Scheduler(url)
        for entry in entries(count):
            scheduler.register(entry.spec, entry.task, **entry.options)
        await scheduler.serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
