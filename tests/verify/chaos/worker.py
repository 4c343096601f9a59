"""A worker of the load: `python -m tests.verify.chaos.worker URL FOLDER WHO BREAKAGE`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from asynq_py import ActiveTask, Server, Task
from asynq_py.app.connections import Outlet
from asynq_py.clock import SystemClock
from asynq_py.wire import limits
from asynq_py.workflows.keeper import keeper_of
from tests.verify.chaos import breakage
from tests.verify.chaos.flows import Whim, result_of
from tests.verify.chaos.jobs import CLOCK_OFFSET, GO, LEASE, QUEUES, RULES
from tests.verify.chaos.ledger import Ledger, now

SCAN: Final = 0.5
LOOK: Final = 0.1  # seconds between looks whether this process is let run
STALL: Final = 0.5
CONCURRENCY: Final = 10
FAST: Final = "worker-0."
AGGREGATION: Final = 8  # seconds until a set goes back to its group; two minutes are too long to wait for


# what is noted of a task that is made of others, before it is run: of whom
PARTS: Final[Mapping[str, str]] = {"digest": "members", "join": "joins"}


class Handlers:
    """One coroutine for each temper; all that happens is noted."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._by_temper: Mapping[str, Callable[[ActiveTask], Awaitable[None]]] = {
            "work": self.work,
            "unique": self.unique,
            "tick": self.unique,
            "long": self.work,
            "steady": self.work,
            "flaky": self.flaky,
            "slow": self.slow,
            "block": self.block,
            "defy": self.defy,
            "thread": self.thread,
            "exit": self.exit,
            "poison": self.poison,
            "digest": self.digest,
            "step": self.step,
            "join": self.step,
            "after": self.digest,
            "alert": self.digest,
            **dict.fromkeys(RULES, self.unique),
        }

    async def handle(self, task: ActiveTask) -> None:
        if task.type in PARTS:
            self._ledger.note(PARTS[task.type], task.id, _compact(json.loads(task.payload)))
        self._ledger.note("begin", task.id, f"{task.retried} {task.crashes} {task.queue}")
        try:
            await self._by_temper[task.type](task)
        except asyncio.CancelledError:
            self._ledger.note("end", task.id, task.cancel_reason or "cancelled")
            raise
        except Exception:
            self._ledger.note("end", task.id, "failed")
            raise
        self._ledger.note("end", task.id, "ok")

    async def work(self, task: ActiveTask) -> None:
        await asyncio.sleep(float(task.payload))

    async def unique(self, task: ActiveTask) -> None:
        await asyncio.sleep(0.1)

    async def digest(self, task: ActiveTask) -> None:
        await asyncio.sleep(0.01)

    async def step(self, task: ActiveTask) -> None:
        whim = Whim.of(task.id)
        await asyncio.sleep(whim.seconds)
        if task.type == "step":
            if whim.exits:
                await self.exit(task, pause=0.0)
            if whim.fails(task.retried):
                raise RuntimeError("as its ID tells it to")
        await task.write_result(result_of(task.id, task.payload))

    async def flaky(self, task: ActiveTask) -> None:
        if task.retried < float(task.payload):
            raise RuntimeError("as it was told to")

    async def slow(self, task: ActiveTask) -> None:
        if task.retried == 0:
            await asyncio.Event().wait()

    async def block(self, task: ActiveTask) -> None:
        self._ledger.note("blocks", task.id, f"{float(task.payload):.3f}")  # it may not live to tell
        time.sleep(float(task.payload))  # noqa: ASYNC251 - this is what it is for

    async def defy(self, task: ActiveTask) -> None:
        swallowed = 0
        while task.retried == 0 and swallowed < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1

    async def thread(self, task: ActiveTask) -> None:
        await task.run_in_thread(lambda active: time.sleep(float(active.payload)))

    async def exit(self, task: ActiveTask, pause: float | None = None) -> None:
        if task.crashes == 0 and task.retried == 0:
            await self.poison(task, pause)

    async def poison(self, task: ActiveTask, pause: float | None = None) -> None:
        await asyncio.sleep(float(task.payload) if pause is None else pause)
        self._ledger.note("exits", task.id)
        os._exit(9)


class Aggregator:
    """Makes one task of a group. Every eighth time it takes long, once so long that the set is given back."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._count = 0

    async def __call__(self, group: str, tasks: list[Task]) -> Task:
        members = [(task.payload or b"").decode() for task in tasks]
        self._ledger.note("gathers", group, _compact(members))
        self._count += 1
        if self._count % 8 == 0:
            await asyncio.sleep(0.5 if self._count % 32 else AGGREGATION + 1.0)
        return Task("digest", members)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def watch(ledger: Ledger) -> None:
    """Note when the machine did not let this process run. For a thread of its own."""
    while True:
        began = now()
        time.sleep(LOOK)
        if (stalled := now() - began - LOOK) > STALL:
            ledger.note("stalled", "", f"{stalled:.3f}", at=began)


class FastClock(SystemClock):
    def time(self) -> float:
        return super().time() + CLOCK_OFFSET


async def main(url: str, folder: Path, who: str, broken: str) -> None:
    ledger = Ledger(folder, who)
    breakage.break_scripts(broken)
    limits.AGGREGATION_TIME = AGGREGATION  # type: ignore[misc]
    threading.Thread(target=watch, args=(ledger,), daemon=True).start()
    server = Server(
        url,
        Handlers(ledger).handle,
        queues={**QUEUES, GO: 1},
        concurrency=CONCURRENCY,
        lease=LEASE,
        recover_interval=SCAN,
        forward_interval=0.5,
        janitor_interval=1.0,
        shutdown_timeout=1.5,
        cancel_grace=1.0,
        retry_delay=lambda *_: 1.0,
        clock=FastClock() if who.startswith(FAST) else SystemClock(),
        group_aggregator=Aggregator(ledger),
        group_grace_period=1.0,
        group_max_delay=2.0,
        group_max_size=20,
    )
    server.accompany(partial(keeper_of, Outlet(url)))  # as an app does, whose handlers are others
    ledger.note("started")
    await server.serve()
    ledger.note("served")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
