"""The promises about what is made of many tasks: groups and their digests, flows and their joins. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Set
from itertools import pairwise
from typing import Final

from tests.verify.chaos.accounts import Account, Accounts, FlowAccount
from tests.verify.chaos.causes import OF_SERVERS
from tests.verify.chaos.flows import ALARM, FOLLOWS
from tests.verify.chaos.remains import Remains
from tests.verify.chaos.tally import Verdict

MEMBER: Final = "member"
STORED: Final = frozenset({"ack", "conflict"})
FOLLOWING: Final = 2.0  # seconds after its last step until what follows a flow is enqueued


def judge_groups(verdict: Verdict, accounts: Accounts, remains: Remains, *, forgets: bool) -> None:
    """Each member that was acknowledged is in one digest, which has run; and in no other."""
    somewhere = _somewhere(remains)
    digests: dict[str, list[str]] = defaultdict(list)
    for digest, members in accounts.digests.items():
        for member in members:
            digests[member].append(digest)
    asked = [task for task in accounts.tasks.values() if task.temper == MEMBER]
    verdict.figures["group members acknowledged"] = sum(task.told == "ack" for task in asked)
    verdict.figures["digests of groups"] = len(accounts.digests)
    verdict.none_of(
        "group members lost",
        [
            task.id
            for task in asked
            if task.told == "ack"
            and task.id not in somewhere
            and not any(accounts.succeeded(one) or one in somewhere for one in digests[task.id])
        ],
    )
    twice: list[str] = []
    explained = 0
    for task in asked:
        for before, after in pairwise(digests[task.id]):
            if _is_asked_again(accounts, task) or (forgets and _is_forgotten(accounts, task, after)):
                explained += 1
            else:
                twice.append(f"{task.id} in {before} and {after}")
    verdict.none_of("group members aggregated twice", twice)
    verdict.figures["group members aggregated twice, explained"] = explained
    verdict.none_of(
        "group members that ran by themselves", [task.id for task in asked if accounts.runs.get(task.id)]
    )
    verdict.none_of("group members that still wait", sorted(remains.grouped))


def _is_asked_again(accounts: Accounts, task: Account) -> bool:
    """It was aggregated, and so gone, before its producer heard that it was stored, and asked again."""
    return accounts.gathered_at.get(task.id, task.told_at) < task.told_at


def _is_forgotten(accounts: Accounts, task: Account, second: str) -> bool:
    """A failover came between: what was written of the first digest may be lost, while it has run."""
    begun = min((run.at for run in accounts.runs.get(second, ())), default=float("inf"))
    return _has_failed_over(accounts, task.asked_at, begun)


def _has_failed_over(accounts: Accounts, since: float, until: float) -> bool:
    return any(
        fault.kind in OF_SERVERS and fault.start <= until and fault.stop >= since for fault in accounts.faults
    )


def _somewhere(remains: Remains) -> Set[str]:
    """What needs not have run: it is put aside, or stuck, which is another promise."""
    found = set(remains.grouped)
    for left in remains.queues.values():
        found |= {*left.pending, *left.active, *left.scheduled, *left.retry, *left.archived, *left.strays}
    return found


def judge_flows(verdict: Verdict, accounts: Accounts, remains: Remains, *, forgets: bool) -> None:
    """Each flow that was acknowledged ends once, all its steps done, or one of them put aside."""
    somewhere = _somewhere(remains)
    lost, unfinished, left_out, in_vain, both, early, wrong = ([] for _ in range(7))  # type: ignore[var-annotated]
    excused = ended = failed = 0
    for flow in accounts.flows.values():
        status = remains.flows.get(flow.id, "")
        is_excused = forgets and _has_failed_over(accounts, flow.asked_at - 1.0, _over_at(accounts, flow))
        ended += status == "succeeded"
        failed += status == "failed"
        if status == "running":
            unfinished.append(flow.id)
        elif not status and flow.told in STORED:
            excused += is_excused
            lost += [] if is_excused else [flow.id]
        if is_excused:
            continue
        undone = [step for step in flow.steps if not accounts.succeeded(step)]
        if status == "succeeded":
            left_out += [
                step for step in [*undone, *_not_followed(accounts, flow, FOLLOWS)] if step not in somewhere
            ]
        if status == "failed":
            in_vain += [] if any(step in somewhere for step in undone) else [flow.id]
            left_out += [step for step in _not_followed(accounts, flow, ALARM) if step not in somewhere]
        both += [flow.id] if all(accounts.runs.get(flow.task(f)) for f in (FOLLOWS, ALARM)) else []
        early += _early(accounts, flow)
        wrong += _wrong(accounts, flow)
    verdict.figures["flows acknowledged"] = sum(flow.told == "ack" for flow in accounts.flows.values())
    verdict.figures["flows succeeded"] = ended
    verdict.figures["flows failed, as a step is put aside"] = failed
    verdict.none_of("flows lost", lost)
    verdict.none_of("flows that do not end", unfinished)
    verdict.none_of("flows that ended, but steps of them, or what follows, did not run", left_out)
    verdict.none_of("flows that failed, though no step did", in_vain)
    verdict.none_of("flows that ended both ways", both)
    verdict.none_of("joins before their parts", early)
    verdict.none_of("joins of other parts than theirs", wrong)
    if forgets:
        verdict.figures["flows that a failover forgot"] = excused


def _over_at(accounts: Accounts, flow: FlowAccount) -> float:
    """When the last of its tasks ended, and what follows was enqueued, which then may never have run."""
    last = [run.ended_at for task in flow.all_tasks for run in accounts.runs.get(task, ()) if run.end]
    return max(last, default=float("inf")) + FOLLOWING


def _not_followed(accounts: Accounts, flow: FlowAccount, follow_up: str) -> list[str]:
    task = flow.task(follow_up)
    return [] if accounts.succeeded(task) else [task]


def _early(accounts: Accounts, flow: FlowAccount) -> Iterator[str]:
    join = flow.task(flow.shape.join)
    begun = min((run.at for run in accounts.runs.get(join, ())), default=None)
    if begun is None:
        return
    for part in flow.parts:
        done = min(
            (run.ended_at for run in accounts.runs.get(part, ()) if run.end == "ok"), default=float("inf")
        )
        if done > begun:
            yield f"{join} before {part}"


def _wrong(accounts: Accounts, flow: FlowAccount) -> Iterator[str]:
    join = flow.task(flow.shape.join)
    if join in accounts.joined and json.loads(accounts.joined[join]) != flow.parts:
        yield f"{join} got {accounts.joined[join]}"
