"""`make verify-load`: the peak, half of it and nearly all of it for minutes, then nothing; and a report."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis

from asynq_py import Client, Task
from tests.eventually import eventually
from tests.servers import plain_client, running
from tests.verify.load.large import slowest
from tests.verify.load.sample import MIB, TOLERANCE, Sample, growth, is_flat, slope, spread
from tests.verify.load.worker import SENT
from tests.verify.report import Figure, print_table, write_report

TURN: Final = 0.02  # seconds between two batches of the producer
MIX: Final = (("nothing", 100), ("short", 100), ("nothing", 100), ("short", 100), ("nothing", 100)) * 39 + (
    ("plain", 100), ("nothing", 64 * 1024), ("short", 64 * 1024),
)  # fmt: skip
"""Types and sizes of payloads. Threads do 400 plain ones in a second, so there are few of them."""
BACKLOG: Final = 2_000  # tasks that wait while the peak is measured
IDLE: Final = 10.0
MOST_IDLE: Final = 25.0  # commands a second, those within scripts included; more would be a busy loop
LARGE: Final = 600.0  # a run of so many seconds looks at large queues, too
PATIENCE: Final = 120.0


@dataclass
class Worker:
    """A worker process, and what it has told until now."""

    process: Process
    samples: list[Sample] = field(default_factory=list)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.samples.append(Sample(**json.loads(line)))

    @property
    def done(self) -> int:
        return self.samples[-1].done if self.samples else 0

    def since(self, moment: float) -> list[Sample]:
        return [sample for sample in self.samples if sample.at >= moment]


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[Worker]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.verify.load.worker", url, stdout=PIPE, stderr=subprocess.DEVNULL
    )
    told = Worker(process)
    listening = asyncio.create_task(told.listen())
    try:
        yield told
        assert process.returncode is None, "the worker has died"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await listening


class Producer:
    def __init__(self, client: Client) -> None:
        self._client = client
        self.sent = 0

    async def send(self, count: int) -> None:
        batch = []
        for _ in range(count):
            kind, size = MIX[self.sent % len(MIX)]
            batch.append(Task(kind, b"x" * size, headers={SENT: repr(time.time())}))
            self.sent += 1
        await self._client.enqueue_many(batch)

    async def hold(self, rate: float, seconds: float) -> None:
        """Send `rate` tasks a second."""
        began, sent = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            due = int(rate * passed) - sent
            if due > 0:
                await self.send(due)
                sent += due
            await asyncio.sleep(TURN)

    async def peak(self, told: Worker, seconds: float) -> float:
        """How many tasks a second are done when there are always some."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self.send(BACKLOG // 4) if self.sent - told.done < BACKLOG * 4 else await asyncio.sleep(
                TURN
            )
        samples = told.since(until - 0.8 * seconds)
        return (samples[-1].done - samples[0].done) / (samples[-1].at - samples[0].at)


async def _drained(redis: Redis, told: Worker, producer: Producer) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while told.done < producer.sent or await redis.exists("asynq:{default}:active"):
        assert time.monotonic() < give_up_at, f"{told.done} of {producer.sent} tasks are done"
        await asyncio.sleep(0.2)


async def _base(redis: Any) -> tuple[int, set[str]]:
    """Memory that Redis uses, and the keys there are, once the worker has said that it runs nothing."""
    await eventually(lambda: redis.keys("asynq:workers:*"), lambda told: not told, within=PATIENCE)
    await redis.execute_command("MEMORY", "PURGE")
    keys = {key.decode() for key in await redis.keys("*")}
    return int((await redis.info("memory"))["used_memory"]), keys


async def load(url: str, seconds: float) -> tuple[dict[str, Figure], list[str]]:
    """Returns figures, and what is not flat."""
    figures: dict[str, Figure] = {}
    wrong: list[str] = []
    async with plain_client(url) as client, Client(url) as enqueuing:
        redis: Any = client
        await redis.flushall()
        producer = Producer(enqueuing)
        async with worker(url) as told:
            await producer.send(5_000)
            await _drained(redis, told, producer)
            memory, keys = await _base(redis)
            peak = await producer.peak(told, max(5.0, seconds / 12))
            figures["peak, tasks a second"] = round(peak)
            await _drained(redis, told, producer)
            for share in (0.5, 0.95):
                began = time.monotonic()
                connections = int((await redis.info("clients"))["connected_clients"])
                await producer.hold(share * peak, seconds * 0.4)
                await _drained(redis, told, producer)
                seen = told.since(began)
                kept = [s for s in seen[len(seen) // 4 :] if s.p50]
                _judge(f"{share:.0%} of it", kept, figures, wrong)
                more = int((await redis.info("clients"))["connected_clients"]) - connections
                if abs(more) > TOLERANCE:
                    wrong.append(f"{more:+d} connections to Redis")
            used, left = await _base(redis)
            figures["Redis after it, KiB more"] = round((used - memory) / 1024)
            if used > memory * 1.01 + MIB // 2:
                wrong.append("Redis uses more memory than before")
            figures["keys after it, more"] = len(left - keys)
            if left - keys:
                wrong.append(f"keys are left: {sorted(left - keys)[:5]}")
            idle = await _idle(redis)
            figures["commands a second when idle"] = idle
            if idle > MOST_IDLE:
                wrong.append("it is busy when there is nothing to do")
    if seconds >= LARGE:
        figures |= await slowest(url)
    return figures, wrong


def _judge(name: str, samples: Sequence[Sample], figures: dict[str, Figure], wrong: list[str]) -> None:
    figures[f"{name}: wait p50, ms"] = sorted(s.p50 for s in samples)[len(samples) // 2] * 1000
    figures[f"{name}: wait p99, ms"] = sorted(s.p99 for s in samples)[len(samples) // 2] * 1000
    figures[f"{name}: memory, MiB"] = samples[-1].rss / MIB
    figures[f"{name}: memory grows, MiB a minute"] = slope(samples)
    figures[f"{name}: memory has grown, %"] = growth(samples) * 100
    if not is_flat(samples):
        wrong.append(f"at {name} the memory of the worker grows")
    counts = {
        "threads": [s.threads for s in samples],
        "files": [s.files for s in samples],
    }
    for what, values in counts.items():
        figures[f"{name}: {what}"] = f"{min(values)} to {max(values)}"
        if spread(values) > TOLERANCE:
            wrong.append(f"at {name} the number of {what} is not constant")
    figures[f"{name}: asyncio tasks at most"] = max(s.tasks for s in samples)


async def _idle(redis: Any) -> float:
    before = int((await redis.info("stats"))["total_commands_processed"])
    await asyncio.sleep(IDLE)
    return (int((await redis.info("stats"))["total_commands_processed"]) - before - 1) / IDLE


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify.load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help=f"from {LARGE:g} on with large queues")
    given = parser.parse_args(arguments)
    with running("embedded") as url:
        figures, wrong = asyncio.run(load(url, given.seconds))
    figures["not flat"] = "; ".join(wrong) or "nothing"
    print_table("load", figures, failed=bool(wrong))
    write_report("load", figures, failed=bool(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
