"""Times at which entries of schedulers are due: each is taken by one scheduler, in the step that enqueues.

All methods raise BrokerUnavailableError (see its `maybe_done`) and BrokerError.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from asynq_py.broker.broker import NewTask
from asynq_py.broker.lane import Command, Sender
from asynq_py.broker.scripts import load
from asynq_py.clock import Clock
from asynq_py.wire import keys, limits
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.state import TaskState

_ENQUEUE_TICK: Final = load("enqueue_tick")


class Taken(IntEnum):
    """What became of a time at which an entry was due."""

    STORED = 1
    ID_IN_USE = 0
    LOCKED = -1
    BY_ANOTHER = 2


class Tick(NamedTuple):
    """One time at which an entry is due.

    `entry`: the same in all schedulers that have it. `at`: unix seconds. `spacing`: seconds between two times
    at least, or 0. `token`: this request; repeated with it, it has the same answer. `keep`: seconds for which
    the time is remembered at least.
    """

    entry: str
    at: int
    spacing: int
    token: str
    keep: int = 0


class Ticks:
    def __init__(self, lane: Sender, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock

    async def enqueue_tick(
        self,
        queue: str,
        tick: Tick,
        task: NewTask,
        *,
        state: TaskState,
        process_at: int,
        group: str,
        until: str = "",
    ) -> tuple[Taken, int]:
        """Store a task if its time is still free. Safe to repeat.

        `state`: PENDING, SCHEDULED or AGGREGATING. `until`: when a task that holds its lock keeps it off no
        more: "start", "success", "end" or "ttl"; or "": when the lock ends. Returns what became of it, and
        the last time of the entry.
        """
        k = QueueKeys(queue)
        now_ns = int(self._clock.time() * 1_000_000) * 1000
        arguments = (
            *(k.task_prefix, k.group_prefix, now_ns, tick.at, tick.spacing),
            *(max(limits.TICK_TTL, tick.keep), tick.token, state.value, *task, process_at, group, until),
        )
        # before the task, so that no tool ever misses a queue that has one
        _, (answer, last) = await self._lane.call_all(
            Command(("SADD", keys.QUEUES, queue)),
            _ENQUEUE_TICK([k.cron(tick.entry), k.pending, k.scheduled, k.groups], arguments),
        )
        return Taken(answer), int(last)

    async def take_turn(self, queue: str, entry: str, at: int, *, seconds: float) -> tuple[bool, int | None]:
        """Ask to be the one who prepares the task of a time, for so long. Whose time it is, storing settles.

        Returns whether it is our turn, and the last time of the entry, if that is remembered.
        """
        k = QueueKeys(queue)
        taken, last = await self._lane.call_all(
            Command(("SET", k.cron_turn(entry, at), 1, "NX", "PX", int(seconds * 1000))),
            Command(("HGET", k.cron(entry), "at")),
        )
        return taken is not None, None if last is None else int(last)

    async def last(self, queue: str, entry: str) -> int | None:
        """When an entry was due for the last time, unix seconds, if that is remembered."""
        at = await self._lane.call("HGET", QueueKeys(queue).cron(entry), "at")
        return None if at is None else int(at)
