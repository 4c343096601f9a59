"""Groups: tasks that wait to be aggregated into one, and the sets that are taken out of them for that.

A set lives until it is finished, which stores the aggregate and forgets the tasks of the set in one step, or
until its deadline, when whoever looks gives its tasks back. Wire format 5.14.

All methods raise BrokerUnavailableError (see its `maybe_done`) and BrokerError.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from enum import IntEnum
from itertools import chain
from typing import Final, NamedTuple

from asynq_py.broker.broker import NewTask
from asynq_py.broker.lane import Argument, Command, Sender
from asynq_py.broker.scripts import load
from asynq_py.clock import Clock
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys

_DUE_GROUPS: Final = load("due_groups")
_TAKE_SET: Final = load("take_set")
_READ_SET: Final = load("read_set")
_SET_ASIDE: Final = load("set_aside")
_FINISH_SET: Final = load("finish_set")
_RECLAIM_SET: Final = load("reclaim_set")


class Finished(IntEnum):
    """What became of a set."""

    YES = 1
    ID_IN_USE = 0
    LOCKED = -1
    GONE = -2


class Rules(NamedTuple):
    """When a group is due: `size` tasks wait (0: no matter how many), the first has waited for `delay`
    seconds (None: no matter how long), or none has come for `grace` seconds.
    """

    grace: float
    delay: float | None = None
    size: int = 0

    @property
    def most(self) -> int:
        """Tasks taken at once."""
        return self.size or limits.GROUP_SET


class TakenSet(NamedTuple):
    """Tasks taken out of a group. `key`: of the set. `ends_at`: when they go back, unix seconds."""

    queue: str
    group: str
    id: str
    key: str
    ends_at: int
    size: int


class Member(NamedTuple):
    """A task of a set. `message`: empty where there is no such task any more."""

    id: bytes
    message: bytes


class Aggregate(NamedTuple):
    """The task that a set becomes. `state`, `score` (unix seconds) and `group`: where it waits."""

    task: NewTask
    state: str
    score: int = 0
    group: str = ""


class Groups:
    """Aggregation sets on one lane."""

    def __init__(self, lane: Sender, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock

    async def due_groups(self, queue: str, rules: Rules) -> AsyncIterator[str]:
        """Look for groups to aggregate, in steps of about limits.GROUP_LOOK names."""
        k = QueueKeys(queue)
        cursor: bytes = b"0"
        while True:
            cursor, names = await self._lane.call("SSCAN", k.groups, cursor, "COUNT", str(limits.GROUP_LOOK))
            if names:
                arguments: tuple[Argument, ...] = (k.group_prefix, *self._conditions(rules), *names)
                for name in await self._lane.post(_DUE_GROUPS([k.groups], arguments)):
                    with suppress(UnicodeDecodeError):  # else not a group: no message can name it
                        yield name.decode()
            if cursor == b"0":
                return

    async def take_set(self, queue: str, group: str, rules: Rules, *, set_id: str) -> TakenSet | None:
        """Take the oldest tasks of a group, `rules.most` at most, or None if the group is not due."""
        k = QueueKeys(queue)
        key = k.aggregation_set(group, set_id)
        ends_at = int(self._clock.time()) + limits.AGGREGATION_TIME
        arguments = (*self._conditions(rules), rules.most, ends_at)
        count = await self._lane.post(_TAKE_SET([k.group(group), key, k.aggregation_sets], arguments))
        return TakenSet(queue, group, set_id, key, ends_at, count) if count else None

    async def read_set(self, taken: TakenSet) -> list[Member]:
        """Read the tasks of a set, oldest second first, then by ID."""
        k = QueueKeys(taken.queue)
        found: list[Member] = []
        for first in range(0, taken.size, limits.GROUP_LOOK):
            places = (k.task_prefix, first, first + limits.GROUP_LOOK - 1)
            reply = await self._lane.post(_READ_SET([taken.key], places))
            found += [Member(reply[i], reply[i + 1]) for i in range(0, len(reply), 2)]
        return found

    async def set_aside(self, taken: TakenSet, tasks: Sequence[Member]) -> TakenSet:
        """Archive tasks of a set, each with its new message. Returns the set as it stands then."""
        k = QueueKeys(taken.queue)
        items: Iterable[Argument] = chain.from_iterable(tasks)
        arguments = (k.task_prefix, int(self._clock.time()), *items)
        count = await self._lane.post(_SET_ASIDE([taken.key, k.archived], arguments))
        return taken._replace(size=taken.size - count)

    async def finish_set(
        self, taken: TakenSet, aggregate: Aggregate | None, locks: Sequence[tuple[bytes, str]]
    ) -> Finished:
        """Store the aggregate, if there is one, and forget the tasks of the set with the locks they hold.

        `locks`: the key of the lock of each task that has one.
        """
        k = QueueKeys(taken.queue)
        held: Iterable[Argument] = chain.from_iterable(locks)
        task, state, score, group = aggregate or Aggregate(NewTask("", b""), "")
        script_keys = [
            *(taken.key, k.aggregation_sets, k.group(taken.group), k.groups, k.pending, k.scheduled)
        ]
        now_ns = int(self._clock.time() * 1_000_000) * 1000
        arguments: tuple[Argument, ...] = (
            *(k.task_prefix, k.group_prefix, taken.group, taken.size, now_ns, state, score, group),
            *task,
            *held,
        )
        return Finished(await self._lane.post(_FINISH_SET(script_keys, arguments)))

    async def give_up(self, taken: TakenSet) -> None:
        """Let the tasks of a set go back to their group with the next look for such sets."""
        k = QueueKeys(taken.queue)
        await self._lane.call("ZADD", k.aggregation_sets, "XX", int(self._clock.time()), taken.key)

    async def reclaim_sets(self, queue: str) -> int:
        """Give the tasks of every set back whose deadline has passed. Returns how many there were."""
        k = QueueKeys(queue)
        now = int(self._clock.time())
        look = Command(("ZRANGEBYSCORE", k.aggregation_sets, "-inf", now, "LIMIT", 0, 1))
        if not await self._lane.post(look):  # cheaper than a script that finds nothing
            return 0
        again = now + limits.AGGREGATION_TIME
        arguments = (k.group_prefix, k.task_prefix, now, limits.RECLAIM_BATCH, again)
        total = 0
        while True:
            count = int(await self._lane.post(_RECLAIM_SET([k.aggregation_sets, k.groups], arguments)))
            if count < 0:
                return total
            total += count

    def _conditions(self, rules: Rules) -> tuple[Argument, ...]:
        # times are stored in whole seconds, cut off
        now = int(self._clock.time())
        oldest = "" if rules.delay is None else now - math.ceil(rules.delay)
        return (rules.size, oldest, now - math.ceil(rules.grace))
