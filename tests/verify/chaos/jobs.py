"""What the load consists of: tasks of many tempers, drawn by a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from asynq_py import Task
from asynq_py.options import TaskOptions
from asynq_py.unique import RuledTask, UniqueRule

QUEUES: Final[Mapping[str, int]] = {"critical": 3, "default": 3, "low": 2, "bulk": 2}
GO: Final = "go"  # a queue that workers in Go serve as well, where there is Go
LEASE: Final = 4.0
GO_LEASE: Final = 30.0
CLOCK_OFFSET: Final = 0.7  # seconds by which the clock of one worker is fast
TICKS: Final = "default"  # the queue of the periodic task
KEPT: Final = 3600  # seconds: longer than any run
KEYS: Final = 5  # different unique tasks of a queue
GROUPS: Final = ("g0", "g1", "g2")  # of each queue
TTL: Final = 2  # seconds for which a task of the rule "ttl" keeps others off
RULES: Final[Mapping[str, UniqueRule]] = {
    "until-success": UniqueRule(until="success"),
    "until-end": UniqueRule(until="end"),
    "for-a-time": UniqueRule(until="ttl"),
    "replacing": UniqueRule(until="success", on_conflict="replace"),
}
IN_GO: Final = ("work", "steady", "flaky")  # what workers in Go can do as well

# in a thousand; the rest just works for up to 50 ms
TEMPERS: Final[Mapping[str, float]] = {
    "flaky": 20.0,  # fails once or twice, or for good
    "slow": 8.0,  # runs into its timeout at its first try
    "steady": 60.0,  # works for up to a second and a half
    "long": 4.0,  # runs for longer than a lease
    "block": 4.0,  # holds the event loop
    "defy": 2.0,  # times out, and swallows the first cancelations
    "thread": 40.0,  # runs in a thread
    "exit": 0.8,  # ends its process at its first try
    "poison": 0.15,  # ends its process at each try
}


@dataclass(frozen=True, slots=True)
class Job:
    """A task to enqueue, and what the ledger should know of it.

    `task` has its ID and queue among its options. `key`: of a unique task, else "". `delay`: seconds for
    which it is put off. `is_kept`: after success.
    """

    id: str
    queue: str
    task: Task
    key: str = ""
    delay: float = 0.0
    is_kept: bool = False

    @property
    def described(self) -> str:
        """For the ledger: queue, temper, key or "-", delay, "1" if it is kept."""
        return f"{self.queue} {self.task.type} {self.key or '-'} {self.delay:.3f} {self.is_kept:d}"


def draw(chance: random.Random, task_id: str) -> Job:
    queue = GO if chance.random() < 0.1 else chance.choice(list(QUEUES))
    options: TaskOptions = {"queue": queue, "task_id": task_id}
    kind = chance.random()
    if kind < 0.04:
        options["group"] = chance.choice(GROUPS)
        return Job(task_id, queue, Task("member", task_id, **options))
    if kind < 0.12 and queue != GO:
        temper = chance.choice(["unique"] * len(RULES) + list(RULES))
        key = f"{temper}/{queue}/{chance.randrange(KEYS)}"
        options["unique"] = TTL if temper == "for-a-time" else KEPT
        task = Task(temper, key, **options)
        return Job(task_id, queue, RuledTask.of(task, RULES[temper]) if temper in RULES else task, key=key)
    temper = _temper(chance)
    if queue == GO and temper not in IN_GO:
        temper = "work"
    argument = _argument(chance, temper)
    if temper in ("slow", "defy"):
        options["timeout"] = 1
    if temper == "flaky":
        options["max_retry"] = 2
    delay, is_kept = 0.0, chance.random() < 0.05
    if chance.random() < 0.1:
        delay = round(chance.uniform(0.2, 5.0), 3)
        options["process_in"] = delay
    if is_kept:
        options["retention"] = KEPT
    task = Task(temper, json.dumps(argument), **options)
    return Job(task_id, queue, task, delay=delay, is_kept=is_kept)


def _temper(chance: random.Random) -> str:
    drawn = chance.uniform(0, 1000)
    for temper, share in TEMPERS.items():
        drawn -= share
        if drawn < 0:
            return temper
    return "work"


def _argument(chance: random.Random, temper: str) -> float:
    """Seconds; of a flaky task how often it fails."""
    match temper:
        case "flaky":
            return chance.choice([1, 1, 1, 1, 2, 3])  # three is one more than it may
        case "steady":
            return chance.uniform(0.1, 1.5)
        case "long":
            return chance.uniform(1.0, 2.0) * LEASE
        case "block":
            return chance.choice([0.05, 0.1, 0.2, 0.4, 1.3 * LEASE])
        case "exit" | "poison":
            return chance.uniform(0.0, 0.2)
        case _:
            return chance.uniform(0.0, 0.05)
