"""The processes that faults strike: a producer, a worker, a scheduler. Each notes what it does."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from typing import Any, NamedTuple

from asynq_py import ActiveTask, Client, Scheduler, ServeMux, Server, SkipRetry, Task
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.verify.model.mutants import Mutant, sown

QUEUE = "default"
ANSWER = 1.0  # seconds that a process waits for Redis
GROUP = 3
TICK = 60


class Stage(NamedTuple):
    """`url`: of the gate, or of Redis itself. `ledger`: a file. `release`: a file that lets handlers go on
    that wait for it: those of type "hold", or all of them (`holds_all`); and processes that have done theirs.

    `defect`: sown into the scripts of this process, to see whether it is found.
    """

    url: str
    ledger: str
    release: str
    holds_all: bool = False
    defect: Mutant | None = None

    def note(self, event: str) -> None:
        file = os.open(self.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{event}\n".encode())
        os.close(file)

    async def released(self) -> None:
        async def is_released() -> bool:
            return os.path.exists(self.release)

        await eventually(is_released, within=120)

    @property
    def patient_url(self) -> str:
        return f"{self.url}{'&' if '?' in self.url else '?'}socket_timeout={ANSWER}"


def handlers(stage: Stage) -> ServeMux:
    mux = ServeMux()

    async def begin(*, holds: bool = False) -> None:
        stage.note("run")
        if holds or stage.holds_all:
            await stage.released()

    @mux.handler("work")
    async def work(task: ActiveTask) -> None:
        await begin()

    @mux.handler("hold")
    async def hold(task: ActiveTask) -> None:
        await begin(holds=True)

    @mux.handler("fail")
    async def fail(task: ActiveTask) -> None:
        await begin()
        if task.retried == 0:
            raise RuntimeError("the first try fails")

    @mux.handler("skip")
    async def skip(task: ActiveTask) -> None:
        await begin()
        raise SkipRetry("for good")

    return mux


def server(stage: Stage, **options: Any) -> Server:
    """A server that looks often. `options`: in place of these."""

    def aggregate(group: str, tasks: list[Task]) -> Task:
        return Task("work", task_id="t")

    given: dict[str, Any] = {
        "concurrency": 1,
        "poll_interval": 0.2,
        "forward_interval": 0.1,
        "recover_interval": 0.1,
        "janitor_interval": 3600,
        "shutdown_timeout": 0.2,
        "cancel_grace": 0.2,
        "retry_delay": lambda failures, error, task: 0.0,
        "group_aggregator": aggregate,
        "group_max_size": GROUP,
    }
    return Server(stage.patient_url, handlers(stage), **{**given, **options})


def serve(stage: Stage, options: dict[str, Any]) -> None:
    """Be a worker until TERM."""
    _run(stage, server(stage, **options).serve())


def produce(stage: Stage, options: dict[str, Any]) -> None:
    """Enqueue one task, and end when that is released."""

    async def enqueue() -> None:
        async with Client(stage.patient_url) as client:
            await client.enqueue(Task("work", task_id="t"))
        stage.note("enqueued")
        await stage.released()

    _run(stage, enqueue())


def schedule(stage: Stage, options: dict[str, Any]) -> None:
    """Enqueue what one tick asks for, and end when that is released."""

    async def enqueue() -> None:
        await tick(stage, options["now"])
        await stage.released()

    _run(stage, enqueue())


async def tick(stage: Stage, now: float) -> None:
    """One tick of an entry whose time has just come, at a clock that stands still then."""
    clock = ManualClock(now)
    async with Client(stage.patient_url):
        scheduler = Scheduler(stage.patient_url, clock=clock)
        scheduler.register(f"@every {TICK}s", Task("work"), name="entry")
        await scheduler.tick_once()  # from here on it counts
        clock.advance(TICK)
        while scheduler.next_at <= clock.time():
            await scheduler.tick_once()
            await asyncio.sleep(0.02)
        await scheduler.shutdown()


def _run(stage: Stage, work: Coroutine[Any, Any, None]) -> None:
    quiet()
    with sown(stage.defect):
        try:
            asyncio.run(work)
        except Exception:
            if stage.defect is None:
                raise


def quiet() -> None:
    logging.disable(logging.CRITICAL)  # of faults there is no end, and each is told
