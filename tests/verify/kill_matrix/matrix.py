"""Plays one cell: lets the fault strike, lets somebody else take over, and looks at what is left."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from asynq_py import Client, Task
from asynq_py.broker.broker import Broker
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.scripts import load
from asynq_py.clock import SystemClock
from asynq_py.connection import Connector
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become
from tests.eventually import eventually
from tests.verify.conserved import violations
from tests.verify.kill_matrix import actors
from tests.verify.kill_matrix.actors import QUEUE, Stage
from tests.verify.kill_matrix.cells import Cell, Fault, Operation, Point
from tests.verify.kill_matrix.gate import Gate, Strike
from tests.verify.model.mutants import Mutant, mutated, named
from tests.verify.snapshot import snapshot

LEASE: Final = 4  # seconds; shorter ones would be ended by pauses of a slow machine
FROZEN: Final = 2.0 * LEASE
SKEW: Final = 0.5  # all clocks here are one
PATIENCE: Final = 60.0  # seconds for whatever must happen; a slow machine needs some
K: Final = QueueKeys(QUEUE)
TYPES: Final = {
    Operation.DEQUEUE: "hold",
    Operation.EXTEND: "hold",
    Operation.REQUEUE: "hold",
    Operation.RETRY: "fail",
    Operation.ARCHIVE: "skip",
}
# The worker takes no task before the fault has struck: what it does beside must not blur the count.
PAUSED: Final = (Operation.FORWARD, Operation.RECOVER, Operation.AGGREGATE)


def start_forkserver() -> ForkServerContext:
    """Start the process that all others are forked from, unless it is there. It has imported all modules."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([actors.__name__])
    forkserver.ensure_running()
    return context


class Played(NamedTuple):
    """`problem`: what is not as it must be, or ""."""

    cell: Cell
    seconds: float
    problem: str


@contextmanager
def small_skew() -> Iterator[None]:
    before, name = limits.LEASE_SKEW, "LEASE_SKEW"
    setattr(limits, name, SKEW)
    try:
        yield
    finally:
        setattr(limits, name, before)


class Player:
    """Plays cells on databases of one server. `path`: its socket file. `patience`: seconds."""

    def __init__(self, path: str, folder: Path, databases: int, *, patience: float = PATIENCE) -> None:
        self._path = path
        self._folder = folder
        self._patience = patience
        self._processes = start_forkserver()
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for database in range(databases):
            self._free.put_nowait(database)

    async def play_all(self, cells: Sequence[Cell], told: Callable[[Played], None]) -> list[Played]:
        """Play cells, as many at once as there are databases."""

        async def play(cell: Cell) -> Played:
            played = await self.play(cell)
            told(played)
            return played

        with small_skew():
            return list(await asyncio.gather(*map(play, cells)))

    async def overlooked(self, finds: Mapping[str, Cell]) -> list[str]:
        """Sow each of these defects, and play its cell. Returns those that the cell does not find."""
        with small_skew():
            played = await asyncio.gather(*(self.play(cell, named(name)) for name, cell in finds.items()))
        return [name for name, one in zip(finds, played, strict=True) if not one.problem]

    async def play(self, cell: Cell, defect: Mutant | None = None) -> Played:
        """Play one. `defect`: sown into the process that is struck, not into those that take over."""
        database = await self._free.get()
        begun_at = time.monotonic()
        try:
            problem = await self._play(cell, database, defect)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            self._free.put_nowait(database)
        return Played(cell, time.monotonic() - begun_at, problem)

    async def _play(self, cell: Cell, database: int, defect: Mutant | None) -> str:
        url = f"unix://{self._path}?db={database}"
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        ledger, release = str(folder / "ledger"), folder / "release"
        async with Redis.from_url(url, socket_timeout=self._patience) as redis:
            await redis.flushdb()
            script = load(cell.operation.script)
            if defect is not None and defect.script == script.name:
                script = mutated(script, defect)
            await redis.script_load(script.body)
            others = Stage(url, ledger, str(folder / "others"), holds_all=True)
            strike = Strike(script.sha.encode(), cell.point, cell.fault, partial(self._ready, cell, ledger))
            await _seed(cell, url, redis)
            async with Gate(self._path, database, strike) as gate:
                stage = Stage(gate.url, ledger, str(release), defect=defect)
                process = self._start(cell, stage)
                strike.pid = process.pid or 0
                try:
                    if cell.operation is Operation.REQUEUE:
                        await self._noted(ledger, "run", 1)
                        process.terminate()
                    await self._within(strike.happened.wait())
                    if cell.fault in (Fault.RESET, Fault.SILENCE):
                        release.touch()
                    await self._go_on(cell, strike, process, stage, others, redis)
                finally:
                    if process.is_alive():
                        os.kill(strike.pid, signal.SIGKILL)
                    await asyncio.to_thread(process.join)
            return await _problem(cell, redis, ledger)

    async def _ready(self, cell: Cell, ledger: str) -> None:
        """After the reply the process knows: that is, when it can be seen that it does."""
        if cell.operation is Operation.DEQUEUE:
            await self._noted(ledger, "run", 1)
        elif cell.operation is Operation.ENQUEUE:
            await self._noted(ledger, "enqueued", 1)

    def _start(self, cell: Cell, stage: Stage) -> ForkServerProcess:
        target = {Operation.ENQUEUE: actors.produce, Operation.CRON: actors.schedule}.get(
            cell.operation, actors.serve
        )
        process = self._processes.Process(target=target, args=(stage, _options(cell)), daemon=True)
        process.start()
        return process

    async def _go_on(
        self,
        cell: Cell,
        strike: Strike,
        process: ForkServerProcess,
        stage: Stage,
        others: Stage,
        redis: Redis,
    ) -> None:
        """What happens once the fault has struck: others take over, or the process mends it by itself."""
        is_gone = cell.fault in (Fault.KILL, Fault.FREEZE)
        thaw_at = time.monotonic() + FROZEN
        if is_gone:
            await _end_aggregations(redis)
        if not cell.is_asked_twice:
            await redis.delete(K.paused)
        if not is_gone and cell.operation in (Operation.ENQUEUE, Operation.REQUEUE, Operation.CRON):
            await self._within(asyncio.to_thread(process.join))
            is_gone = True
        if not cell.is_stale:
            Path(others.release).touch()
        async with _others(others if is_gone else None):
            if is_gone and cell.operation is Operation.CRON:
                await actors.tick(others, _NOW)
            if cell.fault is Fault.FREEZE:
                if cell.is_stale:
                    await self._noted(others.ledger, "run", 2)
                elif cell.operation is Operation.ENQUEUE:
                    await books_become(redis, _BEFORE_THAW[cell.point], within=self._patience)
                else:
                    await books_become(redis, cell.books, within=self._patience)
                await asyncio.sleep(max(0.0, thaw_at - time.monotonic()))
                os.kill(strike.pid, signal.SIGCONT)
                strike.is_over.set()
                await self._end(cell, process, stage)
                await redis.delete(K.paused)
                if cell.is_stale:
                    assert await books(redis) == Books(active=("t",)), "a stale worker ended another's run"
                    Path(others.release).touch()
            await books_become(redis, cell.books, within=self._patience)
            await self._end(cell, process, stage)
        await books_become(redis, cell.books, within=self._patience)

    async def _end(self, cell: Cell, process: ForkServerProcess, stage: Stage) -> None:
        """Let it end by itself. A worker does when it is told to, and writes what it still has to."""
        if process.is_alive():
            if cell.operation in (Operation.ENQUEUE, Operation.CRON):
                Path(stage.release).touch()
            else:
                process.terminate()
            await self._within(asyncio.to_thread(process.join))

    async def _noted(self, ledger: str, event: str, times: int) -> None:
        async def seen() -> int:
            return _noted(ledger, event)

        await eventually(seen, lambda count: count >= times, within=self._patience)

    async def _within(self, work: Coroutine[Any, Any, Any]) -> None:
        await asyncio.wait_for(work, self._patience)


# Of a task that is enqueued, while its producer is frozen. Where nothing was sent, nobody takes it until both
# the frozen request and its repetition have come.
_BEFORE_THAW: Final = {
    Point.BEFORE_SEND: Books(),
    Point.AFTER_SEND: Books(processed=1),
    Point.AFTER_REPLY: Books(processed=1),
}
_NOW: Final = float(int(time.time()))


def _options(cell: Cell) -> dict[str, Any]:
    if cell.operation is Operation.CRON:
        return {"now": _NOW}
    options: dict[str, Any] = {"lease": LEASE}
    if cell.operation is not Operation.RECOVER:
        options["recover_interval"] = 3600  # leases that end are for others to see
    if cell.fault in (Fault.RESET, Fault.SILENCE):
        options["lease"] = 10 * LEASE  # these are not about leases
    return options


async def _seed(cell: Cell, url: str, redis: Redis) -> None:
    operation = cell.operation
    if operation in PAUSED or cell.is_asked_twice:
        await redis.set(K.paused, 1)
    if operation in (Operation.ENQUEUE, Operation.CRON):
        return
    async with Client(url) as client:
        if operation is Operation.AGGREGATE:
            members = [Task("part", task_id=f"part {n}", group="g") for n in range(actors.GROUP)]
            await client.enqueue_many(members)
            return
        delay = 1 if operation is Operation.FORWARD else None
        retention = 3600 if operation is Operation.COMPLETE else 0
        task = Task(TYPES.get(operation, "work"), task_id="t", max_retry=3)
        await client.enqueue(task, retention=retention, process_in=delay)
    if operation is Operation.RECOVER:
        await _lose(url, redis)


async def _lose(url: str, redis: Redis) -> None:
    """Let a worker take the task that died long ago."""
    connector = Connector(url)
    lane = open_lane(connector, role="lost")
    await redis.delete(K.paused)
    await Broker(lane, SystemClock()).dequeue(QUEUE, 1, expires_at=1_000_000_000, token=7)
    await redis.set(K.paused, 1)
    await lane.aclose()
    await connector.aclose()


async def _end_aggregations(redis: Redis) -> None:
    """Let the two minutes be over that an aggregation may take."""
    for name in await redis.zrange(K.aggregation_sets, 0, -1):
        assert isinstance(name, bytes)
        await redis.zadd(K.aggregation_sets, {name: 1})


@asynccontextmanager
async def _others(stage: Stage | None) -> AsyncGenerator[None]:
    """Another worker, if there is to be one."""
    if stage is None:
        yield
        return
    async with actors.server(stage, lease=10 * LEASE):
        yield


def _noted(ledger: str, event: str) -> int:
    return Path(ledger).read_text().splitlines().count(event) if os.path.exists(ledger) else 0


async def _problem(cell: Cell, redis: Redis, ledger: str) -> str:
    seen = await books(redis)
    if seen != cell.books:
        return f"the books are {seen}, must be {cell.books}"
    if found := violations(await snapshot(redis)):
        return "; ".join(found)
    is_producer = cell.operation is Operation.ENQUEUE and cell.fault is not Fault.KILL
    if is_producer and not _noted(ledger, "enqueued"):
        return "the producer was not told that its task is there"
    if (runs := _noted(ledger, "run")) != cell.runs:
        return f"the task ran {runs} times, must have run {cell.runs} times: {cell.why}"
    return ""
