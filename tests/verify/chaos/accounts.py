"""The ledger made into accounts: what was told about each task, its runs, and the faults. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.verify.chaos.flows import ALARM, FOLLOWS, Shape
from tests.verify.chaos.ledger import Entry

TOLD: Final = frozenset({"ack", "unknown", "refused", "duplicate", "conflict"})


@dataclass(slots=True)
class Run:
    """One run of a handler. `end`: "ok", "failed", why it was cancelled, or "" when nobody saw an end."""

    id: str
    who: str
    at: float
    crashes: int
    queue: str
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


@dataclass(slots=True)
class FlowAccount:
    """What producers know of a flow. `told`, `told_at`: as of a task."""

    id: str
    shape: Shape
    asked_at: float
    told: str = ""
    told_at: float = float("inf")

    def task(self, step: str) -> str:
        """The ID of the task of a step."""
        return f"{self.id}:{step}"

    @property
    def steps(self) -> Sequence[str]:
        """The IDs of its tasks that have to succeed."""
        return [self.task(step) for step in self.shape.steps]

    @property
    def parts(self) -> Sequence[str]:
        """The IDs of the tasks that its join waits for."""
        return [self.task(step) for step in self.shape.parts]

    @property
    def all_tasks(self) -> Sequence[str]:
        return [*self.steps, self.task(FOLLOWS), self.task(ALARM)]


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
    told to. `over_at`: when the faults stopped. `digests`: of whom each was made, by
    ID. `gathered_at`: when a member of a group was first given to be made into a digest. `joined`: what each
    join got, by ID.
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
    flows: dict[str, FlowAccount] = field(default_factory=dict)
    digests: dict[str, Sequence[str]] = field(default_factory=dict)
    gathered_at: dict[str, float] = field(default_factory=dict)
    joined: dict[str, str] = field(default_factory=dict)
    _by_key: dict[str, list[Account]] = field(default_factory=dict)

    @property
    def by_key(self) -> Mapping[str, Sequence[Account]]:
        """Unique tasks; all are in the books by then."""
        if not self._by_key:
            for task in self.tasks.values():
                if task.key:
                    self._by_key.setdefault(task.key, []).append(task)
        return self._by_key

    def of_key(self, key: str) -> Sequence[Account]:
        return self.by_key.get(key, ())

    def flow_of(self, task_id: str) -> FlowAccount | None:
        """The flow that has a task of that ID."""
        flow = self.flows.get(task_id.rpartition(":")[0])
        return flow if flow is not None and task_id in flow.all_tasks else None

    @property
    def all_runs(self) -> list[Run]:
        return [run for runs in self.runs.values() for run in runs]

    def succeeded(self, task_id: str) -> bool:
        return any(run.end == "ok" for run in self.runs.get(task_id, ()))


def account(entries: Iterable[Entry]) -> Accounts:
    """`entries`: in the order of time."""
    accounts = Accounts()
    # a worker that lost a task, and got it again, may be running it twice: the older run ends first
    open_runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for entry in entries:
        match entry.event:
            case "intent":
                queue, temper, key, delay, is_kept = entry.detail.split()
                accounts.tasks[entry.id] = Account(
                    *(entry.id, queue, temper, "" if key == "-" else key, float(delay), is_kept == "1"),
                    asked_at=entry.at,
                )
            case "flow":
                accounts.flows[entry.id] = FlowAccount(entry.id, Shape.of(entry.detail), entry.at)
            case event if event in TOLD:
                asked = accounts.tasks.get(entry.id) or accounts.flows[entry.id]
                asked.told, asked.told_at = event, entry.at
            case "gathers":
                for member in json.loads(entry.detail):
                    accounts.gathered_at.setdefault(member, entry.at)
            case "members":
                accounts.digests[entry.id] = json.loads(entry.detail)
            case "joins":
                accounts.joined[entry.id] = entry.detail
            case "tick":
                accounts.ticks[entry.id] = int(entry.detail)
            case "begin":
                _, crashes, queue = entry.detail.split()
                run = Run(entry.id, entry.who, entry.at, int(crashes), queue)
                accounts.runs[entry.id].append(run)
                open_runs[entry.who, entry.id].append(run)
            case "end":
                run = open_runs[entry.who, entry.id].pop(0)
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
