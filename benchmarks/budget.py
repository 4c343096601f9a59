"""Where the worker's time goes: `python -m benchmarks.budget` writes `benchmarks/results/budget.md`.

A worker drains no-op tasks at c=100, while a timer of processor time interrupts it a thousand times a second.
Each sample belongs to the first function, from the innermost outwards, that a stage names.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.broker.lane import Lane
from benchmarks import redis_process
from benchmarks.adapter import payload_of
from benchmarks.record import about
from benchmarks.report import table

PAGE: Final = Path(__file__).parent / "results" / "budget.md"
EVERY: Final = 0.001  # seconds of processor time between samples
BATCH: Final = 5_000
SHARE: Final = 10  # a tenth of the tasks warms up

# stage → what it does, and the functions that are its own: file of asynq_py, names ("" for all)
STAGES: Final[dict[str, tuple[str, Sequence[tuple[str, str]]]]] = {
    "fetch": ("ask for tasks, send and read", [("server/fetcher.py", ""), ("broker/broker.py", "dequeue")]),
    "decode": ("message → task", [("wire/messages.py", "decode_task")]),
    "start": (
        "an attempt, its slot, its asyncio task",
        [
            ("server/processor.py", ""),
            ("server/attempt.py", "__init__ begin _deadline"),
            ("server/inflight.py", "add"),
            ("server/slots.py", "accept _begin wanted"),
            ("server/deadlines.py", ""),
        ],
    ),
    "run": ("call the handler", [("server/attempt.py", "_run _try"), ("active_task.py", "")]),
    "settle": (
        "outcome, freed slot, batches of outcomes",
        [
            ("server/attempt.py", "_success"),
            ("server/outcome.py", ""),
            ("server/slots.py", "report _free_slot"),
            ("server/syncer.py", ""),
            ("server/settle.py", ""),
        ],
    ),
    "ack": (
        "tell Redis, send and read, forget",
        [("broker/broker.py", "done _owned"), ("server/inflight.py", "remove")],
    ),
}
LOOP, OTHER = "event loop", "the rest"
NOTES: Final = {
    LOOP: "asyncio: select, callbacks, switching between tasks",
    OTHER: "heartbeat, upkeep, the harness",
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__)
    parser.add_argument("--tasks", type=int, default=300_000)
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    with redis_process.running() as server:
        samples, seconds = asyncio.run(_drained(redis_process.url_of(server), given.tasks))
        facts = about(redis=f"Redis {server.info('server')['redis_version']}", go="", arguments=[])
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(_page(facts, samples, seconds / (given.tasks - given.tasks // SHARE) * 1e6))
    print(given.out.read_text())


async def _drained(url: str, tasks: int) -> tuple[Counter[str], float]:
    """Samples by stage, and the processor seconds that they are of."""
    async with Client(url) as client:
        for _ in range(0, tasks, BATCH):
            await client.enqueue_many([Task("bench", payload_of(100)) for _ in range(BATCH)])
    samples: Counter[str] = Counter()
    left, looks = tasks, list[float]()
    ended = asyncio.Event()

    async def handle(task: ActiveTask) -> None:
        nonlocal left
        left -= 1
        if left == tasks - tasks // SHARE:
            looks.append(time.process_time())
            signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
        elif not left:
            signal.setitimer(signal.ITIMER_PROF, 0)
            looks.append(time.process_time())
            ended.set()

    def sample(_: int, frame: FrameType | None) -> None:
        samples[_stage(frame)] += 1

    before = signal.signal(signal.SIGPROF, sample)
    async with Server(url, handle, concurrency=100):
        await ended.wait()
    signal.signal(signal.SIGPROF, before)
    return samples, looks[1] - looks[0]


def _stage(frame: FrameType | None) -> str:
    is_loop = False
    while frame is not None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        if "/asynq_py/" in path:
            file = path.rpartition("/asynq_py/")[2]
            if file == "broker/lane.py" and isinstance(lane := frame.f_locals.get("self"), Lane):
                return "fetch" if ":fetch:" in lane._name else "ack" if ":outcomes:" in lane._name else OTHER
            for stage, (_, places) in STAGES.items():
                if any(file == where and (not names or name in names.split()) for where, names in places):
                    return stage
        is_loop = is_loop or "/asyncio/" in path
        frame = frame.f_back
    return LOOP if is_loop else OTHER


def _page(facts: dict[str, object], samples: Counter[str], microseconds: float) -> str:
    whole = sum(samples.values())
    notes = {stage: what for stage, (what, _) in STAGES.items()} | NOTES
    rows = [
        (stage, what, f"{samples[stage] / whole * microseconds:.1f}", f"{samples[stage] / whole * 100:.0f} %")
        for stage, what in notes.items()
    ]
    return (
        "# Where the worker's time goes\n\n"
        f"{facts['at']}. {facts['processor']}, {facts['processors']} processors, {facts['system']}; "
        f"Python {facts['python']}, {facts['redis']}. `python -m benchmarks.budget`: no-op tasks, c=100, "
        f"{whole:,} samples of processor time; {microseconds:.0f} µs a task with the sampling in them.\n\n"
        + table(("stage", "what", "µs a task", "share"), rows, texts=2)
        + "\n"
    )


if __name__ == "__main__":
    main()
