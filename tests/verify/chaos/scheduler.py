"""A scheduler of the load: `python -m tests.verify.chaos.scheduler URL FOLDER WHO BREAKAGE`, until TERM.

Its one entry is due every second. Which task stands for which second is noted before Redis is asked.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from asynq_py import Scheduler, Task
from asynq_py.broker.broker import NewTask
from asynq_py.broker.ticks import Taken, Tick, Ticks
from asynq_py.scheduler import scheduler as module
from asynq_py.wire.state import TaskState
from tests.verify.chaos import breakage
from tests.verify.chaos.jobs import TICKS
from tests.verify.chaos.ledger import Ledger


async def main(url: str, folder: Path, who: str, broken: str) -> None:
    breakage.break_scripts(broken)
    ledger = Ledger(folder, who)

    class NotedTicks(Ticks):
        async def enqueue_tick(
            self, queue: str, tick: Tick, task: NewTask, *, state: TaskState, process_at: int, group: str
        ) -> tuple[Taken, int]:
            ledger.note("tick", task.id, str(tick.at))
            return await super().enqueue_tick(
                queue, tick, task, state=state, process_at=process_at, group=group
            )

    module.Ticks = NotedTicks  # type: ignore[attr-defined]
    scheduler = Scheduler(url, heartbeat=2.0, missed=1000)
    scheduler.register("@every 1s", Task("tick"), name="every second", queue=TICKS)
    ledger.note("started")
    await scheduler.serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:5]))
