"""The verdict: the ledger and what is left in Redis, compared. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import Final

from tests.verify.chaos.accounts import Account, Accounts, Fault, Run
from tests.verify.chaos.causes import (
    ENQUEUED_AGAIN,
    HANDED_BACK,
    OF_SERVERS,
    TERMS,
    Bounds,
    Causes,
)
from tests.verify.chaos.jobs import CLOCK_OFFSET, TTL
from tests.verify.chaos.joins import MEMBER, judge_flows, judge_groups
from tests.verify.chaos.remains import Remains
from tests.verify.chaos.tally import Verdict

REPLACING: Final = "replacing"
FOR_A_TIME: Final = "for-a-time"
EARLY: Final = 1.0 + CLOCK_OFFSET + 0.1  # seconds: due times are whole seconds, cut off


def judge(accounts: Accounts, remains: Remains, bounds: Bounds, *, forgets: bool) -> Verdict:
    """`forgets`: may the servers lose what only a master knew?"""
    verdict = Verdict()
    told = Counter(task.told or "never told" for task in accounts.tasks.values())
    verdict.figures["tasks acknowledged"] = told["ack"]
    verdict.figures["tasks refused"] = told["refused"] + told["duplicate"]
    verdict.figures["tasks of unknown outcome"] = told["unknown"] + told["never told"] + told["conflict"]
    verdict.figures["runs"] = len(accounts.all_runs)
    _what_is_left(verdict, accounts, remains)
    causes = Causes(accounts, bounds, forgets=forgets)
    extra_lives = _duplicates(verdict, accounts, causes)
    _transitions(verdict, accounts, remains, extra_lives, causes, forgets=forgets)
    _locks(verdict, accounts, remains)
    judge_groups(verdict, accounts, remains, forgets=forgets)
    judge_flows(verdict, accounts, remains, forgets=forgets)
    _times(verdict, accounts, remains, forgets=forgets)
    _processes(verdict, accounts)
    _paces(verdict, accounts)
    for kind, count in sorted(Counter(fault.kind for fault in accounts.faults).items()):
        verdict.figures[f"faults: {kind}"] = count
    return verdict


def _what_is_left(verdict: Verdict, accounts: Accounts, remains: Remains) -> None:
    books = remains.queues.values()
    put_aside = {task_id for left in books for task_id in left.archived}
    completed = {task_id for left in books for task_id in left.completed}
    moving = {
        task_id
        for left in books
        for tasks in (left.pending, left.active, left.scheduled, left.retry, left.strays, left.ghosts)
        for task_id in tasks
    }
    acknowledged = [task for task in accounts.tasks.values() if task.told == "ack"]
    verdict.none_of(
        "acknowledged tasks lost",
        [
            task.id
            for task in acknowledged
            if not accounts.succeeded(task.id)
            and task.id not in put_aside | completed | moving
            and task.temper != MEMBER
            and not _is_replaced(accounts, task)
        ],
    )
    verdict.none_of(
        "phantoms: run, and never asked for, or refused",
        [
            *(task_id for task_id in accounts.runs if not _is_known(accounts, task_id)),
            *(
                member
                for members in accounts.digests.values()
                for member in members
                if not _is_known(accounts, member)
            ),
        ],
    )
    verdict.none_of(
        "stuck: tasks in no final state, leases, ghosts, strays",
        sorted(moving | {task_id for left in books for task_id in left.unleased}),
    )
    verdict.none_of(
        "results lost",
        [
            task.id
            for task in acknowledged
            if task.is_kept and accounts.succeeded(task.id) and task.id not in put_aside | completed
        ],
    )
    verdict.figures["tasks archived"] = len(put_aside)


def _is_known(accounts: Accounts, task_id: str) -> bool:
    task = accounts.tasks.get(task_id)
    if task is None:
        flow = accounts.flow_of(task_id)
        is_asked = flow is not None and flow.told != "refused"
        return is_asked or task_id in accounts.ticks or task_id in accounts.digests
    if task.told == "duplicate":  # it may have been asked for again when it had run already
        return all(run.at < task.told_at for run in accounts.runs[task_id])
    return task.told != "refused"


def _is_replaced(accounts: Accounts, task: Account) -> bool:
    """Another one of its key may have taken its place: one that was stored after it was asked for."""
    return task.temper == REPLACING and any(
        other is not task and other.told not in ("refused", "duplicate") and other.told_at > task.asked_at
        for other in accounts.of_key(task.key)
    )


def _duplicates(verdict: Verdict, accounts: Accounts, causes: Causes) -> Counter[str]:
    """Returns: by queue, how many tasks lived twice because they were enqueued twice."""
    explained: Counter[str] = Counter()
    extra_lives: Counter[str] = Counter()
    unexplained: list[str] = []
    overlapping: list[str] = []
    for before, after in _pairs(accounts):
        cause = causes.of(before, after)
        if cause is None:
            unexplained.append(f"{before} then {after}")
        elif cause:
            explained[cause] += 1
            if cause is ENQUEUED_AGAIN:
                extra_lives[before.queue] += 1
        died_at, _ = accounts.deaths.get(before.who, (float("inf"), 0))
        if min(before.ended_at, died_at) > after.at and cause in (None, HANDED_BACK):
            overlapping.append(f"{before} beside {after}")
    verdict.none_of("duplicates unexplained", unexplained)
    verdict.none_of("runs at the same time, unexplained", overlapping)
    verdict.figures["duplicates explained"] = explained.total()
    for cause, count in sorted(explained.items()):
        verdict.figures[f"duplicates: {cause}"] = count
    return extra_lives


def _pairs(accounts: Accounts) -> Iterator[tuple[Run, Run]]:
    for runs in accounts.runs.values():
        yield from pairwise(runs)


def _transitions(
    verdict: Verdict,
    accounts: Accounts,
    remains: Remains,
    extra_lives: Counter[str],
    causes: Causes,
    *,
    forgets: bool,
) -> None:
    """Redis counts each final success once: as many as tasks have succeeded and are not put aside."""
    doubled: list[str] = []
    missed: list[str] = []
    for queue, left in remains.queues.items():
        succeeded = {
            task_id
            for task_id in accounts.runs
            if accounts.runs[task_id][0].queue == queue and accounts.succeeded(task_id)
        }
        wanted = len(succeeded - left.archived) + extra_lives[queue]
        counted = left.processed - left.failed
        doubled += [queue] * max(0, counted - wanted)
        unseen = sum(_is_replaced_unseen(accounts, causes, task_id) for task_id in succeeded)
        missed += [queue] * max(0, wanted - counted - unseen)
    verdict.none_of("final transitions made twice", doubled)
    if forgets:
        verdict.figures["final transitions a failover forgot"] = len(missed)
    else:
        verdict.none_of("final transitions not counted", missed)


def _is_replaced_unseen(accounts: Accounts, causes: Causes, task_id: str) -> bool:
    """It succeeded, but was to run again for a reason, as that was not written, and was replaced before."""
    task = accounts.tasks.get(task_id)
    if task is None or task.temper != REPLACING:
        return False
    last = accounts.runs[task_id][-1]
    return any(
        causes.of(last, Run(task_id, "", other.told_at, 1, last.queue))
        for other in accounts.of_key(task.key)
        if other is not task and other.told == "ack" and other.told_at > last.ended_at
    )


def _locks(verdict: Verdict, accounts: Accounts, remains: Remains) -> None:
    put_aside = {task_id for left in remains.queues.values() for task_id in left.archived}
    violations, late = [], []
    for tasks in accounts.by_key.values():
        stored = [task for task in tasks if task.told == "ack" and task.id not in put_aside]
        for task in stored:
            following = [other for other in stored if task.told_at < other.asked_at]
            if task.temper == REPLACING:
                late += [
                    f"{task.id} after {other.id}"
                    for other in following
                    if any(run.at > other.told_at for run in accounts.runs.get(task.id, ()))
                ]
                continue
            over_at = task.asked_at + TTL if task.temper == FOR_A_TIME else _first_success(accounts, task)
            violations += [f"{task.id} and {other.id}" for other in following if other.told_at < over_at]
    verdict.none_of("unique tasks beside each other", violations)
    verdict.none_of("tasks run after they were replaced", late)
    kept = sum(bool(task.key) and task.id in put_aside for task in accounts.tasks.values())
    locks = sum(left.locks for left in remains.queues.values())
    verdict.none_of("locks left behind", ["a lock"] * (locks - kept))


def _first_success(accounts: Accounts, task: Account) -> float:
    return min((run.ended_at for run in accounts.runs.get(task.id, ()) if run.end == "ok"), default=0.0)


def _times(verdict: Verdict, accounts: Accounts, remains: Remains, *, forgets: bool) -> None:
    verdict.none_of(
        "tasks run too early",
        [
            run.id
            for run in accounts.all_runs
            if (task := accounts.tasks.get(run.id)) and run.at < task.asked_at + task.delay - EARLY
        ],
    )
    by_second: dict[int, set[str]] = defaultdict(set)
    for task_id in accounts.runs:
        if task_id in accounts.ticks:
            by_second[accounts.ticks[task_id]].add(task_id)
    away = [
        (fault.start + remains.wall - 2, fault.stop + remains.wall + 2)
        for fault in accounts.faults
        if fault.target == "servers" and forgets
    ]

    def is_excused(second: int) -> bool:
        return any(start <= second <= stop for start, stop in away)

    verdict.figures["ticks"] = len(by_second)
    doubled = [second for second, tasks in by_second.items() if len(tasks) > 1]
    span = range(min(by_second, default=0), max(by_second, default=0))
    missing = [second for second in span if second not in by_second]
    verdict.none_of("ticks twice", [str(second) for second in doubled if not is_excused(second)])
    verdict.none_of("ticks missing", [str(second) for second in missing if not is_excused(second)])
    if forgets:
        excused = sum(map(is_excused, (*doubled, *missing)))
        verdict.figures["ticks lost or doubled by a failover"] = excused


def _processes(verdict: Verdict, accounts: Accounts) -> None:
    """A process ends because it was killed, told to, or ended by a task that does that; never by itself."""
    killed = {fault.target for fault in accounts.faults if fault.kind.startswith("kill-")}
    told = {fault.target for fault in accounts.faults if fault.kind in TERMS}
    by_themselves = [
        f"{who}: {code}"
        for who, (at, code) in accounts.deaths.items()
        if not (
            (code == -9 and who in killed)
            or (code == 9 and who in accounts.exits)
            or (code == 0 and (who in told or at > accounts.over_at))
            # told before it could listen
            or (code == -15 and (who in told or at > accounts.over_at))
        )
    ]
    verdict.none_of("processes that ended by themselves", by_themselves)
    verdict.none_of("processes that did not end when told to", accounts.deaf)
    ends = [
        accounts.deaths[fault.target][0] - fault.start
        for fault in accounts.faults
        if fault.kind in TERMS and fault.target in accounts.deaths
    ]
    verdict.figures["longest end after SIGTERM, s"] = max(ends, default=0.0)


def _paces(verdict: Verdict, accounts: Accounts) -> None:
    begins = sorted(run.at for run in accounts.all_runs)
    recoveries, undisturbed = [], []
    # workers in Go have longer leases
    deaths = {fault.target: fault.start for fault in accounts.faults if fault.kind == "kill-worker"}
    servers = [fault for fault in accounts.faults if fault.target == "servers"]
    for before, after in _pairs(accounts):
        died_at = deaths.get(before.who)
        if died_at is None or before.end or not before.at <= died_at <= after.at:
            continue
        recoveries.append(after.at - died_at)
        if after.crashes == 1 and not any(
            fault.start <= after.at and fault.stop >= died_at for fault in servers
        ):
            undisturbed.append(after.at - died_at)
    verdict.figures["recovery after SIGKILL, tasks"] = len(recoveries)
    verdict.figures["recovery after SIGKILL, median s"] = median(recoveries) if recoveries else 0.0
    verdict.figures["recovery after SIGKILL, longest s"] = max(recoveries, default=0.0)
    verdict.figures["the same, Redis undisturbed, longest s"] = max(undisturbed, default=0.0)
    resumed = _resumptions(accounts, servers)
    verdict.figures["work resumes after a restart of Redis, longest s"] = max(resumed, default=0.0)
    pauses = [later - earlier for earlier, later in pairwise(begins)]
    verdict.figures["longest pause of all work, s"] = max(pauses, default=0.0)


def _resumptions(accounts: Accounts, servers: list[Fault]) -> Iterator[float]:
    """From the end of each restart to the next run, if its worker has lived through it, and Redis was not
    struck again in between.
    """
    runs = sorted(accounts.all_runs, key=lambda run: run.at)
    for fault in servers:
        run = next((run for run in runs if run.at >= fault.stop), None)
        if fault.kind == "restart" and run and accounts.starts.get(run.who, fault.stop) < fault.start:
            after = run.at
            again = (other for other in servers if other.kind in OF_SERVERS and other is not fault)
            if not any(other.start <= after and other.stop >= fault.stop for other in again):
                yield after - fault.stop
