"""Removing a queue, so that nothing of it is left. Wire format 7.13, Q-16."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from asynq_py.broker.inspection import DAY, Inspection, Place
from asynq_py.broker.lane import Argument, Sender
from asynq_py.broker.scripts import load
from asynq_py.clock import Clock
from asynq_py.wire import keys, limits
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.state import TaskState

_REMOVE_QUEUE: Final = load("remove_queue")

HOLD: Final = 60  # seconds that no worker takes tasks of a queue while it is emptied, if we die on the way
ROUNDS: Final = 3  # times that a queue is emptied into which tasks keep coming
_KEPT: Final = (
    TaskState.PENDING, TaskState.SCHEDULED, TaskState.RETRY, TaskState.ARCHIVED, TaskState.COMPLETED,
)  # fmt: skip


class Removed(StrEnum):
    """What became of a queue; only after OK is it gone."""

    OK = "OK"
    ACTIVE = "ACTIVE"
    NOT_EMPTY = "NOT EMPTY"


class Removal:
    """Removes queues, on one lane. Raises: BrokerUnavailableError, BrokerError."""

    def __init__(self, lane: Sender, clock: Clock, inspection: Inspection) -> None:
        self._lane = lane
        self._clock = clock
        self._inspection = inspection

    async def remove(self, queue: str, *, force: bool) -> Removed:
        """Forget a queue. `force`: with its tasks, unless some are running."""
        answer = await (self._with_tasks(queue) if force else self.remove_queue(queue))
        if answer is Removed.OK:
            await self._lane.call("SREM", keys.QUEUES, queue)
        return answer

    async def remove_queue(self, queue: str) -> Removed:
        """Forget what is left of a queue without tasks."""
        k = QueueKeys(queue)
        script_keys = [
            k.active, k.pending, k.scheduled, k.retry, k.archived, k.completed, k.aggregation_sets, k.groups,
            k.lease, k.paused, *self._counters(k),
        ]  # fmt: skip
        groups = await self._inspection.groups(queue)
        arguments: tuple[Argument, ...] = (
            k.group_prefix,
            *(name for name, size in groups.items() if not size),
        )
        reply = await self._lane.post(_REMOVE_QUEUE(script_keys, arguments))
        return Removed(reply.decode())

    async def _with_tasks(self, queue: str) -> Removed:
        k = QueueKeys(queue)
        hold = Hold(self._lane, self._clock, k.paused)
        await hold.take()
        answer = Removed.NOT_EMPTY
        try:
            for _ in range(ROUNDS):
                if await self._lane.call("LLEN", k.active):
                    answer = Removed.ACTIVE
                else:
                    await self._empty(queue, hold)
                    answer = await self.remove_queue(queue)
                if answer is not Removed.NOT_EMPTY:
                    break
        finally:
            if answer is not Removed.OK:
                await hold.give_back()
        return answer

    async def _empty(self, queue: str, hold: Hold) -> None:
        for state in _KEPT:
            await self._inspection.delete_all(Place(queue, state), meanwhile=hold.renew)
        for groups in few_tasks_at_once(await self._inspection.groups(queue)):
            places = [Place(queue, TaskState.AGGREGATING, group) for group in groups]
            await asyncio.gather(
                *(self._inspection.delete_all(place, meanwhile=hold.renew) for place in places)
            )
        k = QueueKeys(queue)
        while sets := await self._lane.call("ZRANGE", k.aggregation_sets, 0, limits.GROUP_BATCH - 1):
            await self._forget_sets(k, sets, hold)

    async def _forget_sets(self, k: QueueKeys, sets: Sequence[bytes], hold: Hold) -> None:
        """Forget sets that are being aggregated. The key of one is that of its group, and more."""
        for name in sets:
            part = name.decode("utf-8", "replace").removeprefix(k.group_prefix)
            place = Place(k.queue, TaskState.AGGREGATING, part)
            await self._inspection.delete_all(place, meanwhile=hold.renew)
            await self._lane.call("ZREM", k.aggregation_sets, name)

    def _counters(self, k: QueueKeys) -> list[str]:
        """Of all time, and of each day that Redis may still know."""
        now, days = self._clock.time(), int(limits.STATISTICS_TTL / DAY) + 1
        moments = [now - DAY * ago for ago in range(days)]
        daily = [name for at in moments for name in (k.processed_on(at), k.failed_on(at))]
        return [k.processed, k.failed, *daily]


class Hold:
    """A pause of a queue that ends by itself if we die, however long our work is. One of a user is kept."""

    def __init__(self, lane: Sender, clock: Clock, key: str) -> None:
        self._lane = lane
        self._clock = clock
        self._key = key
        self._is_ours = False
        self._renewed_at = 0.0

    async def take(self) -> None:
        self._renewed_at = self._clock.time()
        taken = await self._lane.call("SET", self._key, int(self._renewed_at), "NX", "EX", HOLD)
        self._is_ours = bool(taken)

    async def renew(self) -> None:
        """Renew it now and then."""
        now = self._clock.time()
        if self._is_ours and now - self._renewed_at > HOLD / 4:
            self._renewed_at = now
            await self._lane.call("EXPIRE", self._key, HOLD)

    async def give_back(self) -> None:
        if self._is_ours:
            await self._lane.call("DEL", self._key)


def few_tasks_at_once(groups: Mapping[str, int]) -> Iterator[list[str]]:
    """Share out groups by their sizes: scripts that are sent together keep Redis from others as one would."""
    some: list[str] = []
    tasks = 0
    for group, size in groups.items():
        if some and tasks + size > limits.INSPECT_BATCH:
            yield some
            some, tasks = [], 0
        some.append(group)
        tasks += size
    if some:
        yield some
