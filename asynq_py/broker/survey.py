"""What is out of order in the data of queues, and how to mend it. Wire format 4.2, 13; reliability F60 … F64.

Looking covers a sample and changes nothing. Each step of mending is one script or command that looks again
before it writes, so what is in order, or has come into order meanwhile, is never touched.

All methods raise BrokerUnavailableError and BrokerError.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from asynq_py.broker.broker import Broker
from asynq_py.broker.inspection import Place
from asynq_py.broker.lane import Argument, Command, Reply, Sender
from asynq_py.broker.registry import Registry
from asynq_py.broker.roster import Roster
from asynq_py.broker.scripts import load
from asynq_py.clock import Clock
from asynq_py.wire import keys, limits, messages
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.state import TaskState

_SURVEY: Final = load("survey")
_DROP_GHOSTS: Final = load("drop_ghosts")
_MEND_STATES: Final = load("mend_states")
_MEND_LEASES: Final = load("mend_leases")
_MEND_LOST: Final = load("mend_lost")
_FREE_LOCK: Final = load("free_lock")
_LIST_GROUP: Final = load("list_group")

STEP: Final = 500  # IDs looked at in one script
MENDING: Final = 20  # IDs mended in one script: each may be searched for in a list
LONGEST_LIST: Final = 10_000  # a longer one is not searched for an ID
GROUPS: Final = 100  # groups of a queue that are looked at

T = TypeVar("T")


class Fault(StrEnum):
    """What can be out of order, in the order of mending."""

    GHOST = "ghost"
    STRAY = "stray"
    STATE = "state"
    LEASE = "lease"
    LOST = "lost"
    LOCK = "lock"
    GROUP = "group"
    QUEUE = "queue"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Damage:
    """Things of one queue with the same fault. `ids`: of tasks; or keys of locks, names of groups, of queues
    or of processes, which belong to no queue (""). `place`: where the IDs stand, if that is part of it.
    """

    fault: Fault
    queue: str
    ids: tuple[bytes, ...]
    place: Place | None = None


@dataclass(slots=True)
class Found:
    """Keys of queues that a scan came upon. `looked`: keys of any kind that it passed, about."""

    tasks: dict[str, list[bytes]] = field(default_factory=dict)
    locks: dict[str, list[bytes]] = field(default_factory=dict)
    groups: dict[str, list[bytes]] = field(default_factory=dict)
    queues: set[str] = field(default_factory=set)
    looked: int = 0
    total: int = 0


class Survey:
    """Looks at the data of queues, and mends it, on one lane."""

    def __init__(self, lane: Sender, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock
        self._broker = Broker(lane, clock)
        self._registry = Registry(lane)
        self._roster = Roster(lane)

    async def queues(self) -> list[str]:
        """The names of the queues that are listed."""
        return await self._registry.queues()

    async def running(self) -> set[tuple[str, bytes]]:
        """Queue and ID of what servers that live say that they run."""
        found = await self._roster.workers(now=self._clock.time())
        workers = messages.decode_records(messages.WorkerInfo, found)
        return {(worker.queue, worker.task_id.encode()) for worker in workers}

    # -- looking ----------------------------------------------------------------------------------------

    async def tasks(
        self, queue: str, *, sample: int, running: Collection[tuple[str, bytes]] = ()
    ) -> list[Damage]:
        """Look at the first tasks of each state, `sample` of each: for ghosts, strays and wrong states.

        `running`: what nobody may take for a stray.
        """
        damages: list[Damage] = []
        for place in await self._places(queue):
            for fault, ids in (await self._faults(place, sample)).items():
                kept = tuple(
                    task_id for task_id in ids if fault is not Fault.STRAY or (queue, task_id) not in running
                )
                if kept:
                    damages.append(Damage(fault, queue, kept, place))
        return damages

    async def _places(self, queue: str) -> list[Place]:
        places = [Place(queue, state) for state in TaskState if state is not TaskState.AGGREGATING]
        _, names = await self._lane.call("SSCAN", QueueKeys(queue).groups, 0, "COUNT", GROUPS)
        groups = sorted(name.decode("utf-8", "replace") for name in names)[:GROUPS]
        return [*places, *(Place(queue, TaskState.AGGREGATING, group) for group in groups)]

    async def _faults(self, place: Place, sample: int) -> dict[Fault, list[bytes]]:
        found: dict[Fault, list[bytes]] = {}
        k, now = place.keys, self._clock.time()
        for first in range(0, sample, STEP):
            count = min(STEP, sample - first)
            arguments = (k.task_prefix, place.kind, place.state, first, first + count - 1, f"{now:.6f}")
            seen, *pairs = await self._lane.post(_SURVEY([place.key, k.lease], arguments))
            for task_id, fault in zip(pairs[::2], pairs[1::2], strict=True):
                found.setdefault(Fault(fault.decode()), []).append(task_id)
            if seen < count:
                break
        return found

    async def leases(
        self, queue: str, *, sample: int, running: Collection[tuple[str, bytes]] = ()
    ) -> Damage | None:
        """Look at the leases that end first, `sample` of them, for those of tasks that do not run.

        Nothing is found where more tasks run than can be searched.
        """
        reply = await self._mend_leases(queue, sample)
        ids = tuple(task_id for task_id in reply if (queue, task_id) not in running)
        return Damage(Fault.LEASE, queue, ids) if ids else None

    async def _mend_leases(self, queue: str, most: int, ids: Sequence[bytes] = ()) -> list[bytes]:
        k, now = QueueKeys(queue), self._clock.time()
        about: tuple[Argument, ...] = (k.task_prefix, f"{now:.6f}", _ns(now), most, LONGEST_LIST)
        reply = await self._lane.post(_MEND_LEASES([k.lease, k.active, k.pending], (*about, *ids)))
        return [] if reply == b"LONG" else list(reply)

    async def processes(self) -> Damage | None:
        """Look for servers and schedulers that are listed, but gave no sign of life in time."""
        dead = ("-inf", int(self._clock.time()) - 1)
        commands = [Command(("ZRANGEBYSCORE", name, *dead)) for name in (keys.SERVERS, keys.SCHEDULERS)]
        names = tuple(name for found in await self._lane.call_all(*commands) for name in found)
        return Damage(Fault.SERVER, "", names) if names else None

    async def lost_tasks(
        self, queue: str, ids: Sequence[bytes], *, known: Collection[tuple[str, bytes]] = ()
    ) -> Damage | None:
        """Look which of these tasks are in no list or set at all. `known`: what need not be looked at."""
        lost: list[bytes] = []
        for some in _parts([task_id for task_id in ids if (queue, task_id) not in known]):
            lost += await self._mend_lost(queue, some, mend=False)
        return Damage(Fault.LOST, queue, tuple(lost)) if lost else None

    async def lost_locks(self, queue: str, locks: Sequence[bytes]) -> Damage | None:
        """Look which of these unique locks outlived their tasks."""
        return await self._each(Fault.LOCK, queue, locks)

    async def unlisted_groups(self, queue: str, groups: Sequence[bytes]) -> Damage | None:
        """Look in which of these groups tasks wait although nobody sees them."""
        return await self._each(Fault.GROUP, queue, groups)

    async def unlisted_queues(self, queues: Collection[str]) -> Damage | None:
        """Look which of these queues, which have tasks, no tool would list."""
        listed = set(await self.queues())
        names = tuple(queue.encode() for queue in sorted(set(queues) - listed))
        return Damage(Fault.QUEUE, "", names) if names else None

    async def _each(self, fault: Fault, queue: str, names: Sequence[bytes]) -> Damage | None:
        found: list[bytes] = []
        for some in _parts(names, STEP):
            replies = await self._lane.call_all(
                *(self._step(fault, queue, name, mend=False) for name in some)
            )
            found += [name for name, reply in zip(some, replies, strict=True) if reply]
        return Damage(fault, queue, tuple(found)) if found else None

    # -- mending ----------------------------------------------------------------------------------------

    async def mend(self, damage: Damage) -> int:
        """Mend what is still out of order. Returns how much that was."""
        match damage.fault:
            case Fault.GHOST | Fault.STATE:
                return sum([await self._settle(damage, ids) for ids in _parts(damage.ids)])
            case Fault.STRAY:
                return sum(
                    [
                        len(await self._broker.reclaim(damage.queue, ids))
                        for ids in _parts(damage.ids, limits.REPAIR_BATCH)
                    ]
                )
            case Fault.LEASE:
                parts = _parts(damage.ids, STEP)
                return sum([len(await self._mend_leases(damage.queue, 0, ids)) for ids in parts])
            case Fault.LOST:
                parts = _parts(damage.ids)
                return sum([len(await self._mend_lost(damage.queue, ids, mend=True)) for ids in parts])
            case Fault.LOCK | Fault.GROUP:
                steps = (self._step(damage.fault, damage.queue, name, mend=True) for name in damage.ids)
                return sum(await self._lane.call_all(*steps))
            case Fault.QUEUE:
                return int(await self._lane.call("SADD", keys.QUEUES, *damage.ids))
            case Fault.SERVER:
                return await self._sweep()

    async def _settle(self, damage: Damage, ids: Sequence[bytes]) -> int:
        place = damage.place
        assert place is not None
        k, now = place.keys, self._clock.time()
        if damage.fault is Fault.GHOST:
            about: tuple[Argument, ...] = (k.task_prefix, place.kind, place.state, f"{now:.6f}")
            return int(await self._lane.post(_DROP_GHOSTS([place.key, k.lease], (*about, *ids))))
        about = (k.prefix, place.kind, place.state, place.group, _ns(now), LONGEST_LIST)
        return int(await self._lane.post(_MEND_STATES([place.key, k.lease], (*about, *ids))))

    async def _mend_lost(self, queue: str, ids: Sequence[bytes], *, mend: bool) -> list[bytes]:
        k, now = QueueKeys(queue), self._clock.time()
        about: tuple[Argument, ...] = (k.prefix, int(now), _ns(now), LONGEST_LIST, int(mend))
        reply: Reply = await self._lane.post(_MEND_LOST([k.pending, k.groups], (*about, *ids)))
        return list(reply)

    def _step(self, fault: Fault, queue: str, name: bytes, *, mend: bool) -> Command:
        k = QueueKeys(queue)
        if fault is Fault.LOCK:
            return _FREE_LOCK([name.decode()], (k.task_prefix, int(mend)))
        script_keys = [k.group(name.decode()), k.groups, k.aggregation_sets]
        return _LIST_GROUP(script_keys, (name, k.task_prefix, int(mend)))

    async def _sweep(self) -> int:
        found = await self.processes()
        now = self._clock.time()
        await self._registry.sweep(now=now)
        await self._registry.sweep_schedulers(now=now)
        return len(found.ids) if found else 0


# -- keys --------------------------------------------------------------------------------------------------

_KEY: Final = re.compile(
    rb"asynq:\{(.+?)\}:(?:(t|unique|g):(.*)|pending|active|scheduled|retry|archived|completed)", re.DOTALL
)


async def scan(node: Sender, found: Found, *, most: int) -> None:
    """Go through about `most` keys of one server, and note those of queues."""
    found.total += int(await node.call("DBSIZE"))
    cursor: bytes | int = 0
    for _ in range(0, most, STEP):
        cursor, names = await node.call("SCAN", cursor, "MATCH", "asynq:{*", "COUNT", STEP)
        found.looked += STEP
        for name in names:
            _note(name, found)
        if int(cursor) == 0:
            break
    found.looked = min(found.looked, found.total)


def _note(key: bytes, found: Found) -> None:
    match = _KEY.fullmatch(key)
    try:
        queue = match[1].decode() if match else ""
    except UnicodeDecodeError:
        return  # no queue of ours, nor of Go's
    if match is None:
        return
    kind, rest = match[2], match[3]
    if kind == b"unique":
        if _is_text(key):
            found.locks.setdefault(queue, []).append(key)
        return  # a lock alone makes no queue
    found.queues.add(queue)
    if kind == b"t":
        found.tasks.setdefault(queue, []).append(rest)
    elif kind == b"g" and _is_text(rest):
        found.groups.setdefault(queue, []).append(rest)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _ns(now: float) -> int:
    return int(now * 1_000_000) * 1000


def _parts(items: Sequence[T], size: int = MENDING) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
