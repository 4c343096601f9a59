"""A scheduler of the load: `python -m tests.verify.chaos.scheduler URL FOLDER WHO BREAKAGE`, until TERM.

Its one entry is due every second. Which task stands for which second is noted before Redis is asked.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from asynq_py import Scheduler, Task
from asynq_py.broker.broker import NewTask
from asynq_py.broker.ticks import Taken, Tick, Ticks
from tests.verify.chaos import breakage
from tests.verify.chaos.jobs import TICKS
from tests.verify.chaos.ledger import Ledger


async def main(url: str, folder: Path, who: str, broken: str) -> None:
    breakage.break_scripts(broken)
    ledger = Ledger(folder, who)

    enqueue_tick = Ticks.enqueue_tick

    async def noted(ticks: Ticks, queue: str, tick: Tick, task: NewTask, **more: Any) -> tuple[Taken, int]:
        ledger.note("tick", task.id, str(tick.at))
        return await enqueue_tick(ticks, queue, tick, task, **more)

    Ticks.enqueue_tick = noted  # type: ignore[method-assign, assignment]
    scheduler = Scheduler(url, heartbeat=2.0, missed=1000)
    scheduler.register("@every 1s", Task("tick"), name="every second", queue=TICKS)
    ledger.note("started")
    await scheduler.serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:5]))
