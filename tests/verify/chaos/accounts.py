"""The ledger made into accounts: what was told about each task, its runs, and the faults. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.verify.chaos.ledger import Entry

TOLD: Final = frozenset({"ack", "unknown", "refused", "duplicate", "conflict"})


@dataclass(slots=True)
class Run:
    """One run of a handler. `end`: "ok", "failed", why it was cancelled, or "" when nobody saw an end."""

    id: str
    who: str
    at: float
    crashes: int
    end: str = ""
    ended_at: float = float("inf")


@dataclass(slots=True)
class Account:
    """What producers know of a task. `told`: how its enqueueing ended, or "" when that was never said."""

    id: str
    queue: str
    temper: str
    key: str
    delay: float
    is_kept: bool
    asked_at: float
    told: str = ""
    told_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class Fault:
    """`target`: a process ("worker-0.3"), a link ("worker-0"), or "servers"."""

    kind: str
    target: str
    start: float
    stop: float

    @property
    def length(self) -> float:
        return self.stop - self.start


@dataclass(slots=True)
class Accounts:
    """`starts`: when each worker began. `deaths`: when each process ended, and by what code. `ticks`: the
    second that a task stands for. `exits`: processes that a task ended. `deaf`: those that did not end when
    told to. `over_at`: when the faults stopped.
    """

    tasks: dict[str, Account] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    faults: list[Fault] = field(default_factory=list)
    starts: dict[str, float] = field(default_factory=dict)
    deaths: dict[str, tuple[float, int]] = field(default_factory=dict)
    ticks: dict[str, int] = field(default_factory=dict)
    exits: set[str] = field(default_factory=set)
    deaf: list[str] = field(default_factory=list)
    over_at: float = float("inf")

    @property
    def all_runs(self) -> list[Run]:
        return [run for runs in self.runs.values() for run in runs]

    def succeeded(self, task_id: str) -> bool:
        return any(run.end == "ok" for run in self.runs.get(task_id, ()))


def account(entries: Iterable[Entry]) -> Accounts:
    """`entries`: in the order of time."""
    accounts = Accounts()
    open_runs: dict[tuple[str, str], Run] = {}
    for entry in entries:
        match entry.event:
            case "intent":
                queue, temper, key, delay, is_kept = entry.detail.split()
                accounts.tasks[entry.id] = Account(
                    *(entry.id, queue, temper, "" if key == "-" else key, float(delay), is_kept == "1"),
                    asked_at=entry.at,
                )
            case event if event in TOLD:
                task = accounts.tasks[entry.id]
                task.told, task.told_at = event, entry.at
            case "tick":
                accounts.ticks[entry.id] = int(entry.detail)
            case "begin":
                run = Run(entry.id, entry.who, entry.at, int(entry.detail.split()[1]))
                accounts.runs[entry.id].append(run)
                open_runs[entry.who, entry.id] = run
            case "end":
                run = open_runs.pop((entry.who, entry.id))
                run.end, run.ended_at = entry.detail, entry.at
            case "exits":
                accounts.exits.add(entry.who)
                accounts.faults.append(Fault("exit-worker", entry.who, entry.at, entry.at))
            case "blocks" | "stalled":
                kind = "block-loop" if entry.event == "blocks" else "stall"
                accounts.faults.append(Fault(kind, entry.who, entry.at, entry.at + float(entry.detail)))
            case "fault":
                kind, length = entry.detail.split()
                accounts.faults.append(Fault(kind, entry.id, entry.at, entry.at + float(length)))
            case "started":
                accounts.starts[entry.who] = entry.at
            case "exited":
                accounts.deaths[entry.id] = entry.at, int(entry.detail)
            case "deaf":
                accounts.deaf.append(entry.id)
            case "over":
                accounts.over_at = entry.at
    return accounts
