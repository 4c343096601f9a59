"""Why a task ran again. Pure.

A run after a failed try is no duplicate. Any other run after the first needs a fault that the product cannot
make up for, and it must have struck the worker of one of the two runs, its link, or the servers. Lost
connections, lost replies and restarts that are quick are no excuse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from tests.verify.chaos.accounts import Accounts, Fault, Run
from tests.verify.chaos.jobs import GO, GO_LEASE

FAILED: Final = frozenset({"failed", "timeout", "deadline"})
HANDED_BACK: Final = "handed back by a worker that ends"
ENQUEUED_AGAIN: Final = "enqueued again, as the answer was lost"

# faults that cost a lease when they last, by the shortest that may: a lease of 4 s has 2 s left at least when
# the next sign of life is due, and what hangs on a connection adds the second after which that is given up
LEAST: Final = {
    "freeze-worker": 1.5,
    "freeze-go": 1.5,
    "stall": 1.5,
    "part-link": 0.5,
    "delay-link": 0.5,
    "freeze": 0.5,
    "restart": 0.5,
    "move": 0.5,
}
KILLS: Final = frozenset({"kill-worker", "kill-go"})
TERMS: Final = frozenset({"term-worker", "term-go"})
OF_SERVERS: Final = frozenset({"freeze", "restart", "move"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds: `lease`, `skew` between clocks, `scan` between looks for lost tasks."""

    lease: float
    skew: float
    scan: float

    @property
    def recovery(self) -> float:
        """A dead worker's task runs again within this."""
        return self.lease + self.skew + self.scan + 1.0


class Causes:
    """`forgets`: may the servers lose what only the master knew, when another one takes its place?"""

    def __init__(self, accounts: Accounts, bounds: Bounds, *, forgets: bool) -> None:
        self._accounts = accounts
        self._bounds = bounds
        self._forgets = forgets
        self._by_target: dict[str, list[Fault]] = defaultdict(list)
        for fault in accounts.faults:
            self._by_target[fault.target].append(fault)

    def of(self, before: Run, after: Run) -> str | None:
        """Why the second run began: "", as the first has failed; a cause; or None: nothing explains it."""
        if before.end in FAILED:
            return ""
        return (
            self._of_ending(before)
            or self._of_enqueueing(before, after)
            or self._of_death(before, after)
            or self._of_outage(before, after)
            or self._of_block(before, after)
        )

    def _of_ending(self, run: Run) -> str | None:
        is_told = run.end == "shutdown" and (
            run.at > self._accounts.over_at or self._struck(run.who, TERMS, by=run.ended_at)
        )
        return HANDED_BACK if is_told else None

    def _of_death(self, before: Run, after: Run) -> str | None:
        died_at, _ = self._accounts.deaths.get(before.who, (float("inf"), 0))
        if died_at > after.at:
            return None
        # its outcome had time enough to be written, or it could not be while the loop was blocked
        blocked = sum(
            fault.length
            for fault in self._by_target[before.who]
            if fault.kind == "block-loop" and fault.stop >= before.ended_at
        )
        lease = GO_LEASE if before.who.startswith(GO) else self._bounds.lease
        is_late = died_at > before.ended_at + lease + blocked
        if is_late or before.end == "lease_lost":
            return None
        if self._struck(before.who, KILLS, by=died_at):
            return "worker killed"
        if before.who in self._accounts.exits:
            return "worker ended by a task"
        if not before.end and self._struck(before.who, TERMS, by=died_at):
            return "left behind by a worker that ends"
        return None

    def _struck(self, who: str, kinds: Set[str], *, by: float) -> bool:
        return any(fault.kind in kinds and fault.start <= by for fault in self._by_target[who])

    def _of_outage(self, before: Run, after: Run) -> str | None:
        since = before.at - self._bounds.lease - self._bounds.skew
        targets = ["servers"]
        for who in (before.who, after.who):
            targets += [who, who.rpartition(".")[0]]
        for kind in LEAST:
            for target in targets:
                for fault in self._by_target[target]:
                    if fault.kind == kind and fault.start <= after.at and fault.stop >= since:
                        if kind in OF_SERVERS and self._forgets:
                            return "failover, or servers away"
                        if fault.length >= LEAST[kind]:
                            return f"{kind}, longer than a lease can bear"
        return None

    def _of_enqueueing(self, before: Run, after: Run) -> str | None:
        """It had run, and was gone, before its producer heard that it was stored, and so asked again."""
        task = self._accounts.tasks.get(before.id)
        is_new = task is not None and before.end == "ok" and before.ended_at < task.told_at
        return ENQUEUED_AGAIN if is_new and after.crashes == 0 else None

    def _of_block(self, before: Run, after: Run) -> str | None:
        """While its loop is blocked, a worker keeps a task only until the task's own deadline."""
        task = self._accounts.tasks.get(before.id)
        if task is None or task.temper not in ("slow", "defy"):
            return None
        is_blocked = any(
            fault.kind == "block-loop" and fault.start <= after.at and fault.stop >= before.at
            for fault in self._by_target[before.who]
        )
        return "loop blocked beyond the deadline" if is_blocked else None
