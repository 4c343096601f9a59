"""A producer of the load: `python -m tests.verify.chaos.producer URL FOLDER WHO BREAKAGE SEED RATE`.

Until TERM it enqueues. It notes what it is about to enqueue, and what it was told: acknowledged, refused (so
it is not there), or unknown.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import Final

from asynq_py import (
    App,
    BrokerError,
    BrokerUnavailableError,
    Client,
    DuplicateTaskError,
    NotReplicatedError,
    TaskIDConflictError,
)
from asynq_py.errors import EnqueueError
from tests.verify.chaos import breakage, flows
from tests.verify.chaos.jobs import Job, draw
from tests.verify.chaos.ledger import Ledger

LANES: Final = 4  # coroutines that enqueue side by side
MANY: Final = 10  # tasks that one of them enqueues at once
FLOWS: Final = 0.005  # flows for each task


class Producer:
    def __init__(self, client: Client, app: App, ledger: Ledger, who: str, seed: str, rate: float) -> None:
        self._client = client
        self._app = app
        self._flows = flows.Flows(app)
        self._ledger = ledger
        self._who = who
        self._random = random.Random(f"{seed} {who}")
        self._pause = LANES / rate
        self._pause_of_flows = 1 / (FLOWS * rate)
        self._count = 0
        self._is_ending = False
        self.is_hasty = False

    def end(self) -> None:
        self._is_ending = True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._lane(MANY))
            for _ in range(LANES - 1):
                lanes.create_task(self._lane(1))
            lanes.create_task(self._lane_of_flows())

    async def _lane(self, count: int) -> None:
        while not self._is_ending:
            jobs = [self._draw() for _ in range(count)]
            await (self._one(jobs[0]) if count == 1 else self._many(jobs))
            await asyncio.sleep(self._random.expovariate(1 / (self._pause * count)))

    async def _lane_of_flows(self) -> None:
        chance, count = random.Random(f"{self._random.random()}"), 0
        while not self._is_ending:
            count += 1
            flow_id, shape = f"{self._who}-flow-{count}", flows.draw(chance)
            flow = self._flows.make(chance, shape)
            self._ledger.note("flow", flow_id, shape.described)
            error: Exception | None = None
            try:
                await self._app.enqueue(flow, flow_id=flow_id)
            except (BrokerError, BrokerUnavailableError) as raised:
                error = raised
            self._ledger.note(said(error), flow_id, type(error).__name__)
            await asyncio.sleep(chance.expovariate(1 / self._pause_of_flows))

    def _draw(self) -> Job:
        self._count += 1
        job = draw(self._random, f"{self._who}-{self._count}")
        self._ledger.note("intent", job.id, job.described)
        if self.is_hasty:
            self._ledger.note("ack", job.id)
        return job

    async def _one(self, job: Job) -> None:
        try:
            await self._client.enqueue(job.task)
        except (EnqueueError, BrokerError, BrokerUnavailableError) as error:
            self._told(job, error)
        else:
            self._told(job, None)

    async def _many(self, jobs: list[Job]) -> None:
        try:
            answers = await self._client.enqueue_many([job.task for job in jobs])
        except (BrokerError, BrokerUnavailableError) as error:
            for job in jobs:
                self._told(job, error)
            return
        for job, answer in zip(jobs, answers, strict=False):
            self._told(job, answer if isinstance(answer, EnqueueError) else None)

    def _told(self, job: Job, error: Exception | None) -> None:
        if not self.is_hasty:
            self._ledger.note(said(error), job.id, type(error).__name__)


def said(error: Exception | None) -> str:
    """What an answer means for the books."""
    if isinstance(error, EnqueueError) and isinstance(error.__cause__, BrokerError | BrokerUnavailableError):
        error = error.__cause__  # one of many
    match error:
        case None:
            return "ack"
        case DuplicateTaskError():
            return "duplicate"
        case TaskIDConflictError():  # IDs are new: it is there, by a request whose answer was lost
            return "conflict"
        case NotReplicatedError():
            return "unknown"
        case BrokerUnavailableError(maybe_done=True):
            return "unknown"
        case _:
            return "refused"


async def main(url: str, folder: Path, who: str, broken: str, seed: str, *, rate: float) -> None:
    breakage.break_scripts(broken)
    durable = not url.startswith("redis:")
    async with (
        Client(url, timeout=4.0, durability="replica" if durable else "none", replica_timeout=0.8) as client,
        App(url) as app,
    ):
        producer = Producer(client, app, Ledger(folder, who), who, seed, rate)
        producer.is_hasty = broken == breakage.HASTY
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, producer.end)
        await producer.run()


if __name__ == "__main__":
    _, target, folder, *names, rate = sys.argv
    asyncio.run(main(target, Path(folder), *names, rate=float(rate)))
