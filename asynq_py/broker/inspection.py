"""Looking at tasks, and moving them by hand: what Inspector does. Wire format 7.

However many tasks there are, Redis is never held up: a script covers limits.INSPECT_BATCH of them, and what
concerns all of them is a loop here (Q-36, Q-37). So it is not one step: tasks may come and go meanwhile.

All methods raise BrokerUnavailableError and BrokerError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from asynq_py.broker.lane import Argument, Command, Sender
from asynq_py.broker.numbers import whole
from asynq_py.broker.scripts import load
from asynq_py.clock import Clock
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import lock_of
from asynq_py.wire.state import TaskState

_LIST_TASKS: Final = load("list_tasks")
_QUEUE_COUNTS: Final = load("queue_counts")
_MEMORY: Final = load("memory")
_RUN_TASK: Final = load("run_task")
_ARCHIVE_TASK: Final = load("archive_task")
_DELETE_TASK: Final = load("delete_task")
_RUN_ALL: Final = load("run_all")
_ARCHIVE_ALL: Final = load("archive_all")
_DELETE_ALL: Final = load("delete_all")
_ASK_TO_CANCEL: Final = load("ask_to_cancel")
_UPDATE_PAYLOAD: Final = load("update_payload")

DAY: Final = 24 * 3600.0
_LISTS: Final = frozenset({TaskState.PENDING, TaskState.ACTIVE})


class Place(NamedTuple):
    """Where the tasks of one state are. `group`: only of those that wait in a group."""

    queue: str
    state: TaskState
    group: str = ""

    @property
    def keys(self) -> QueueKeys:
        return QueueKeys(self.queue)

    @property
    def key(self) -> str:
        if self.state is TaskState.AGGREGATING:
            return self.keys.group(self.group)
        return self.keys.prefix + self.state

    @property
    def kind(self) -> str:
        return "list" if self.state in _LISTS else "set"


class Moved(StrEnum):
    """What became of one task that was to be moved; only after OK is anything changed."""

    OK = "OK"
    GONE = "GONE"
    ACTIVE = "ACTIVE"
    ALREADY = "ALREADY"
    AGGREGATING = "AGGREGATING"
    ELSEWHERE = "ELSEWHERE"


class Updated(StrEnum):
    """What became of a change; only after OK is anything changed."""

    OK = "OK"
    GONE = "GONE"
    STATE = "STATE"
    CHANGED = "CHANGED"
    LOCKED = "LOCKED"


class Row(NamedTuple):
    """A task in a list. `score`: of its set, unix seconds; of a running task, when its lease ends.
    `message`: None when the task is gone, and only its ID is left.
    """

    id: bytes
    score: float | None
    message: bytes | None
    result: bytes | None


class Counts(NamedTuple):
    """What there is in a queue. `pending_since`: of the next task, unix nanoseconds; 0: not known."""

    pending: int
    active: int
    scheduled: int
    retry: int
    archived: int
    completed: int
    processed: int
    failed: int
    processed_total: int
    failed_total: int
    groups: int
    paused: int
    pending_since: int


class Inspection:
    """Sees and moves tasks, on one lane."""

    def __init__(self, lane: Sender, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock

    # -- lists ------------------------------------------------------------------------------------------

    async def page(self, place: Place, *, first: int, count: int) -> list[Row]:
        """Read `count` tasks from the place `first` on, in Go's order. Source: wire format 7.5; Q-40."""
        rows: list[Row] = []
        for start in range(first, first + count, limits.INSPECT_BATCH):
            wanted = min(limits.INSPECT_BATCH, first + count - start)
            found = await self._rows(place, start, wanted)
            rows += found
            if len(found) < wanted:
                break
        return rows

    async def walk(self, place: Place) -> AsyncIterator[Row]:
        """Read all tasks of a state, a part at a time, in Go's order.

        Each part overlaps with the one before it, so the place to go on from is found again when tasks came
        or went meanwhile. A task that is there all the time is told once; it may be twice, where all that was
        told last left at once and some before it stayed.
        """
        told: list[bytes] = []
        place_next = 0
        while True:
            place_next, rows = await self._after(place, place_next, told)
            if not rows:
                return
            told = [row.id for row in rows]
            for row in rows:
                yield row

    async def _after(self, place: Place, guess: int, told: Sequence[bytes]) -> tuple[int, list[Row]]:
        """Read what comes after those told last. Returns: the place after it, and the rows."""
        step, known = limits.INSPECT_BATCH, set(told)
        start = max(0, guess - step)
        while True:
            rows = await self._rows(place, start, 2 * step, known=told)
            last = max((at for at, row in enumerate(rows) if row.id in known), default=-1)
            fresh = rows[last + 1 :][:step]
            if last < 0 and start > 0:
                start = max(0, start - step)  # more than a step went away before it: look further ahead
            elif fresh or len(rows) < 2 * step:
                return start + last + 1 + len(fresh), fresh
            else:
                start += step  # as many came in before it

    async def _rows(self, place: Place, first: int, count: int, *, known: Sequence[bytes] = ()) -> list[Row]:
        k = place.keys
        arguments: tuple[Argument, ...] = (k.task_prefix, place.kind, first, first + count - 1, *known)
        reply = await self._lane.post(_LIST_TASKS([place.key, k.lease], arguments))
        return [
            Row(reply[i], None if reply[i + 1] is None else float(reply[i + 1]), reply[i + 2], reply[i + 3])
            for i in range(0, len(reply), 4)
        ]

    # -- moving tasks -----------------------------------------------------------------------------------

    async def run_task(self, queue: str, task_id: str) -> Moved:
        """Make a task pending, whatever it waits for. Source: wire format 7.7; Q-06, Q-17, Q-19."""
        k = QueueKeys(queue)
        return await self._moved(_RUN_TASK([k.pending, k.groups], (task_id, k.prefix, self._now_ns())))

    async def archive_task(self, queue: str, task_id: str) -> Moved:
        """Put a task aside. Its unique lock stays. Source: wire format 7.9; Q-11."""
        k = QueueKeys(queue)
        arguments = (task_id, k.prefix, *self._archive_bounds())
        return await self._moved(_ARCHIVE_TASK([k.archived, k.groups], arguments))

    async def delete_task(self, queue: str, task_id: str) -> Moved:
        """Forget a task, and free its unique lock. Source: wire format 7.11."""
        k = QueueKeys(queue)
        message = await self._lane.call("HGET", k.task(task_id), "msg")
        return await self._moved(_DELETE_TASK([k.groups], (task_id, k.prefix, _lock(k, message))))

    async def run_all(self, place: Place) -> int:
        """Make all tasks of a set pending. Returns how many. Source: wire format 7.8; Q-36."""
        k = place.keys
        keys, step = [place.key, k.pending, k.lease, k.groups], self._step(place)
        return await self._all(place, lambda: self._taken(_RUN_ALL(keys, (*step, self._now_ns()))))

    async def archive_all(self, place: Place) -> int:
        """Put all tasks of a state aside. Returns how many. Source: wire format 7.10; Q-11, Q-36."""
        k = place.keys
        keys, step = [place.key, k.archived, k.lease, k.groups], self._step(place)
        return await self._all(
            place, lambda: self._taken(_ARCHIVE_ALL(keys, (*step, place.kind, *self._archive_bounds())))
        )

    async def delete_all(
        self, place: Place, *, meanwhile: Callable[[], Awaitable[None]] | None = None
    ) -> int:
        """Forget all tasks of a state, and free their unique locks. Returns how many.

        `meanwhile`: done after each step. Source: wire format 7.11; Q-36.
        """
        k = place.keys
        keys, step = [place.key, k.lease, k.groups], (*self._step(place), place.kind)

        async def delete_some() -> tuple[int, int]:
            taken = await self._taken(_DELETE_ALL(keys, (*step, *await self._named_locks(place))))
            if meanwhile is not None:
                await meanwhile()
            return taken

        return await self._all(place, delete_some)

    async def update_payload(
        self, queue: str, task_id: str, *, before: bytes, after: bytes, locks: tuple[str, str]
    ) -> Updated:
        """Replace the message of a scheduled task, if it is still the one of `before`.

        `locks`: the keys of its unique lock then and now, or "". Source: wire format 7.12; Q-18.
        """
        arguments = (task_id, before, after, *locks)
        reply = await self._lane.post(_UPDATE_PAYLOAD([QueueKeys(queue).task(task_id)], arguments))
        return Updated(reply.decode())

    async def ask_to_cancel(self, queue: str, task_id: str) -> bool:
        """Leave word with a running task, for who runs it. Returns False where it does not run. Q-42."""
        k = QueueKeys(queue)
        return bool(await self._lane.post(_ASK_TO_CANCEL([k.task(task_id), k.lease], (task_id,))))

    async def _moved(self, command: Command) -> Moved:
        return Moved((await self._lane.post(command)).decode())

    async def _all(self, place: Place, step: Callable[[], Awaitable[tuple[int, int]]]) -> int:
        """Repeat a step for as many tasks as there are now: producers at work do not make it endless."""
        left = int(await self._lane.call("LLEN" if place.kind == "list" else "ZCARD", place.key))
        moved = 0
        while left > 0:
            taken, tasks = await step()
            moved += tasks
            left -= taken
            if not taken:
                break
        return moved

    async def _taken(self, command: Command) -> tuple[int, int]:
        taken, tasks = await self._lane.post(command)
        return taken, tasks

    async def _named_locks(self, place: Place) -> list[bytes | str]:
        """IDs and locks of the first tasks of a group: for those that Go wrote only the message names one."""
        if place.state is not TaskState.AGGREGATING:
            return []
        rows = await self._rows(place, 0, limits.INSPECT_BATCH)
        locks = ((row.id, _lock(place.keys, row.message)) for row in rows)
        return [part for task_id, lock in locks if lock for part in (task_id, lock)]

    def _step(self, place: Place) -> tuple[Argument, ...]:
        return (place.keys.task_prefix, limits.INSPECT_BATCH, place.group)

    def _archive_bounds(self) -> tuple[Argument, ...]:
        now = int(self._clock.time())
        trimmed = 2 * limits.INSPECT_BATCH  # more than it adds, and no more: Redis waits
        return (now, now - limits.ARCHIVE_AGE, limits.ARCHIVE_SIZE, trimmed)

    def _now_ns(self) -> int:
        return int(self._clock.time() * 1_000_000) * 1000

    # -- numbers ----------------------------------------------------------------------------------------

    async def counts(self, queue: str) -> Counts:
        """Count the tasks of a queue, those in groups excepted. Source: wire format 7.1."""
        k, now = QueueKeys(queue), self._clock.time()
        script_keys = [
            k.pending, k.active, k.scheduled, k.retry, k.archived, k.completed, k.processed_on(now),
            k.failed_on(now), k.processed, k.failed, k.groups, k.paused,
        ]  # fmt: skip
        reply = await self._lane.post(_QUEUE_COUNTS(script_keys, (k.task_prefix,)))
        return Counts(*map(whole, reply))

    async def groups(self, queue: str) -> dict[str, int]:
        """The size of each group of a queue. Source: wire format 7.6; Q-37."""
        k = QueueKeys(queue)
        sizes: dict[str, int] = {}
        cursor: bytes | int = 0
        while True:
            cursor, found = await self._lane.call("SSCAN", k.groups, cursor, "COUNT", limits.GROUP_BATCH)
            names = [name.decode("utf-8", "replace") for name in found]
            counted = await self._lane.call_all(
                *(Command(("ZCARD", k.group_prefix.encode() + name)) for name in found)
            )
            sizes.update(zip(names, counted, strict=True))
            if int(cursor) == 0:
                return dict(sorted(sizes.items()))

    async def memory(self, queue: str, groups: Sequence[str], aggregating: int) -> int:
        """Estimate the bytes that a queue takes, by a few tasks of each state. Source: wire format 7.2.

        `groups`: the names of its groups. `aggregating`: tasks in all of them.
        """
        states = [state for state in TaskState if state is not TaskState.AGGREGATING]
        places = [Place(queue, state) for state in states]
        some = [Place(queue, TaskState.AGGREGATING, group) for group in groups[: limits.MEMORY_GROUPS]]
        k = QueueKeys(queue)
        weighed = await self._lane.call_all(
            *(_MEMORY([p.key], (k.task_prefix, p.kind, limits.MEMORY_SAMPLE)) for p in (*places, *some))
        )
        total = sum(
            own + (weight * count // sampled if sampled else 0)
            for own, count, sampled, weight in weighed[: len(places)]
        )
        in_groups = weighed[len(places) :]
        sampled = sum(group[2] for group in in_groups)
        if sampled:
            total += sum(group[3] for group in in_groups) * aggregating // sampled
        return int(total)

    async def history(self, queue: str, days: int) -> list[tuple[float, int, int]]:
        """What was counted on each day, today first: a moment of it (unix seconds), processed, failed.

        Source: wire format 7.3.
        """
        k, now = QueueKeys(queue), self._clock.time()
        moments = [now - DAY * ago for ago in range(days)]
        names = [name for at in moments for name in (k.processed_on(at), k.failed_on(at))]
        numbers = list(map(whole, await self._lane.call("MGET", *names)))
        return list(zip(moments, numbers[::2], numbers[1::2], strict=True))


def _lock(k: QueueKeys, message: bytes | None) -> str:
    lock = lock_of(message or b"")
    return lock if lock.startswith(k.prefix) else ""
