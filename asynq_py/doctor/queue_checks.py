"""What is out of order in the data of queues → findings, and what a repair does. Reliability F60 … F64."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from asynq_py.broker.faults import is_withheld
from asynq_py.broker.lane import Sender
from asynq_py.broker.survey import Damage, Fault, Found, Survey, scan
from asynq_py.doctor.bounded import gather
from asynq_py.doctor.finding import Finding, Level, error, ok, skipped
from asynq_py.errors import AsynqError, BrokerError, BrokerUnavailableError

KEYS_PER_TASK: Final = 10  # keys that a scan passes for each task of the sample
QUEUES: Final = 200  # queues that are looked at
REFUSALS: Final = (BrokerError, BrokerUnavailableError)  # the latter of a part of a Cluster, say
NAMED: Final = 5  # queues that a finding names


class Meaning(NamedTuple):
    """A fault in words. `repair`: what is done about it, with a count before it."""

    check: str
    level: Level
    what: str
    advice: str
    repair: str


MEANINGS: Final[Mapping[Fault, Meaning]] = {
    Fault.GHOST: Meaning(
        "ghosts", Level.WARNING, "IDs whose task is gone",
        "something deleted keys (an eviction, an operator); a repair drops the IDs",
        "IDs without a task dropped",
    ),
    Fault.STRAY: Meaning(
        "strays", Level.WARNING, "tasks active without a lease",
        "Python workers hand them back within a minute; where only Go works, a repair does",
        "tasks without a lease handed back",
    ),
    Fault.STATE: Meaning(
        "states", Level.WARNING, "tasks that stand elsewhere than they say",
        "a repair settles where they are", "tasks settled where they are",
    ),
    Fault.LEASE: Meaning(
        "leases", Level.WARNING, "leases of tasks that are not active",
        "Python workers drop them in time; where only Go works, a repair does", "leases dropped",
    ),
    Fault.LOST: Meaning(
        "lost tasks", Level.ERROR, "tasks that are in no list, so that they never run and hold their IDs",
        "a repair hands them back", "tasks put back that were in no list",
    ),
    Fault.LOCK: Meaning(
        "locks", Level.WARNING, "unique locks whose task is gone",
        "they end by themselves, but refuse new tasks until then; a repair frees them", "unique locks freed",
    ),
    Fault.GROUP: Meaning(
        "groups", Level.ERROR, "groups that are not listed, so that their tasks wait for ever",
        "Go's workers leave such (Q-04, Q-05); a repair lists them", "groups listed",
    ),
    Fault.QUEUE: Meaning(
        "queues", Level.WARNING, "queues that have tasks but are not listed, so that no tool sees them",
        "a repair lists them", "queues listed",
    ),
    Fault.SERVER: Meaning(
        "servers", Level.WARNING, "servers or schedulers that are listed but died without a word",
        "find out why they died; a repair takes them off the list", "processes taken off the list",
    ),
}  # fmt: skip

_OF_TASKS: Final = (Fault.GHOST, Fault.STRAY, Fault.STATE)
_OF_KEYS: Final = (Fault.LOST, Fault.LOCK, Fault.GROUP, Fault.QUEUE)


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair does, or would do, in one queue (""; in none)."""

    check: str
    queue: str
    count: int
    what: str


@dataclass(slots=True)
class Books:
    """What was found so far. `refused`: why a check could not look, by fault."""

    damages: list[Damage] = field(default_factory=list)
    refused: dict[Fault, list[AsynqError]] = field(default_factory=dict)
    looked: str = ""
    scanned: str = ""

    async def note(self, faults: Iterable[Fault], look: Awaitable[Damage | Sequence[Damage] | None]) -> None:
        """Note what a look finds, or that Redis refused it."""
        try:
            found = await look
        except REFUSALS as refusal:
            for fault in faults:
                self.refused.setdefault(fault, []).append(refusal)
            return
        self.damages += [found] if isinstance(found, Damage) else found or []


async def examine(
    survey: Survey, nodes: Sequence[Sender], *, sample: int
) -> tuple[list[Finding], list[Damage]]:
    """Look at a sample of the data. `nodes`: lanes to all servers that have some."""
    books = Books()
    try:
        queues, running = await survey.queues(), await survey.running()
    except REFUSALS as refusal:
        everything: dict[Fault, list[AsynqError]] = {fault: [refusal] for fault in Fault}
        return _findings(Books(refused=everything)), []
    books.looked = f"first {sample} tasks of each state"
    if len(queues) > QUEUES:
        books.looked += f", {QUEUES} of {len(queues)} queues"
    await gather(*(_queue(survey, books, queue, sample, running) for queue in queues[:QUEUES]))
    await books.note((Fault.SERVER,), survey.processes())
    await _keys(survey, books, nodes, sample * KEYS_PER_TASK, running)
    order = list(Fault)
    books.damages.sort(key=lambda damage: (order.index(damage.fault), damage.queue))
    return _findings(books), books.damages


async def _queue(
    survey: Survey, books: Books, queue: str, sample: int, running: Collection[tuple[str, bytes]]
) -> None:
    await books.note(_OF_TASKS, survey.tasks(queue, sample=sample, running=running))
    await books.note((Fault.LEASE,), survey.leases(queue, sample=sample, running=running))


async def _keys(
    survey: Survey,
    books: Books,
    nodes: Sequence[Sender],
    most: int,
    running: Collection[tuple[str, bytes]],
) -> None:
    found = Found()
    try:
        for node in nodes:
            await scan(node, found, most=most // len(nodes))
    except REFUSALS as refusal:
        for fault in _OF_KEYS:
            books.refused[fault] = [refusal]
        return
    books.scanned = f"{found.looked} of {found.total} keys"
    seen = {(damage.queue, task_id) for damage in books.damages for task_id in damage.ids} | set(running)
    looks = [
        books.note((Fault.QUEUE,), survey.unlisted_queues(found.queues)),
        *(
            books.note((Fault.LOST,), survey.lost_tasks(queue, ids, known=seen))
            for queue, ids in found.tasks.items()
        ),
        *(books.note((Fault.LOCK,), survey.lost_locks(queue, locks)) for queue, locks in found.locks.items()),
        *(
            books.note((Fault.GROUP,), survey.unlisted_groups(queue, groups))
            for queue, groups in found.groups.items()
        ),
    ]
    await gather(*looks)


def planned(damages: Iterable[Damage]) -> list[Repair]:
    """What a repair would do."""
    return [repaired(damage, len(damage.ids)) for damage in damages]


def repaired(damage: Damage, count: int) -> Repair:
    meaning = MEANINGS[damage.fault]
    return Repair(meaning.check, damage.queue, count, meaning.repair)


# -- findings ----------------------------------------------------------------------------------------------


def _findings(books: Books) -> list[Finding]:
    return [_finding(fault, books) for fault in Fault]


def _finding(fault: Fault, books: Books) -> Finding:
    meaning = MEANINGS[fault]
    counts: dict[str, int] = {}
    for damage in books.damages:
        if damage.fault is fault:
            counts[damage.queue] = counts.get(damage.queue, 0) + len(damage.ids)
    if counts:
        what = f"{sum(counts.values())} {meaning.what}{_places(counts)}"
        return Finding(meaning.check, meaning.level, what, meaning.advice)
    refused = books.refused.get(fault, [])
    if refused:
        refusal = refused[0]
        if is_withheld(refusal):
            return skipped(meaning.check, "this user may not look", str(refusal))
        what = f"Redis refused to tell: {refusal}"
        return error(meaning.check, what, "a key may be of a type that is not asynq's; find out who wrote it")
    sample = books.scanned if fault in _OF_KEYS else books.looked if fault is not Fault.SERVER else ""
    return ok(meaning.check, f"none ({sample})" if sample else "none")


def _places(counts: Mapping[str, int]) -> str:
    names = [name for name in sorted(counts, key=lambda name: (-counts[name], name)) if name]
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f", in {', '.join(names[:NAMED])}{more}"
