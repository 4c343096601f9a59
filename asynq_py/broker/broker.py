"""The life of a task in Redis, one method per transition. Wire format, sections 5 and 7.

Every method is one script, so one atomic step, for many tasks of one queue at once; answers come per task.
A task that somebody else owns by now is never touched: its answer is False.

All methods raise BrokerUnavailableError (see its `maybe_done`) and BrokerError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from asynq_py.broker.durable_lane import Confirmed
from asynq_py.broker.faults import is_withheld
from asynq_py.broker.lane import Argument, Command, Reply, Sender
from asynq_py.broker.numbers import whole
from asynq_py.broker.scripts import Script, load
from asynq_py.clock import Clock
from asynq_py.errors import BrokerError, BrokerUnavailableError
from asynq_py.wire import keys, limits
from asynq_py.wire.keys import QueueKeys

_ENQUEUE: Final = load("enqueue")
_SCHEDULE: Final = load("schedule")
_ADD_TO_GROUP: Final = load("add_to_group")
_ENQUEUE_UNIQUE: Final = load("enqueue_unique")
_DEQUEUE: Final = load("dequeue")
_DONE: Final = load("done")
_COMPLETE: Final = load("complete")
_RETRY: Final = load("retry")
_ARCHIVE: Final = load("archive")
_REQUEUE: Final = load("requeue")
_POSTPONE: Final = load("postpone")
_EXTEND: Final = load("extend")
_ASKED_TO_CANCEL: Final = load("asked_to_cancel")
_RENEW_LOCKS: Final = load("renew_locks")
_FORWARD: Final = load("forward")
_RECOVER: Final = load("recover")
_RECOVER_OWNED: Final = load("recover_owned")
_STRAYS: Final = load("strays")
_RECLAIM: Final = load("reclaim")
_EXPIRE: Final = load("expire")
_WRITE_RESULT: Final = load("write_result")
_WRITE_PROGRESS: Final = load("write_progress")
_TASK_INFO: Final = load("task_info")

REGISTER_AGAIN: Final = 5.0  # seconds after which a queue's name is written once more


class Stored(IntEnum):
    """What became of a new task."""

    YES = 1
    ID_IN_USE = 0
    LOCKED = -1


class Unconfirmed(NamedTuple):
    """A task that is stored, but `replicas` know it, and `wanted` should."""

    replicas: int
    wanted: int


class Held(NamedTuple):
    """A task that is not stored, as another keeps it off: its ID, and whether it is still there."""

    holder: str
    is_there: bool


Storing: TypeAlias = "Stored | Unconfirmed | Held"


class _Answers(dict[int, Stored]):
    def __missing__(self, answer: bytes) -> Held:  # what is no number is an ID
        return Held(answer[1:].decode("utf-8", "replace"), answer[:1] == b"+")


_STORED: Final = _Answers({int(answer): answer for answer in Stored})


class NewTask(NamedTuple):
    """A task to store. `lock`: the key of its unique lock, or "". `lock_ms`: how long that lasts."""

    id: str
    message: bytes
    lock: str = ""
    lock_ms: int = 0


class Owned(NamedTuple):
    """A task that this server runs; `token` proves it. `id` is bytes only where it is not UTF-8."""

    id: str | bytes
    token: int


class Fetched(NamedTuple):
    """A task taken from a queue. `crashes`: how many workers were lost while running it.

    `pending_since`: Unix nanoseconds in digits, or None where nobody knows.
    """

    id: str
    message: bytes
    crashes: int
    pending_since: bytes | None = None


class StoredTask(NamedTuple):
    """A task as Redis holds it. `score`: of the set its state names, unix seconds."""

    message: bytes
    state: str
    score: float | None
    result: bytes | None
    progress: bytes | None = None


class Broker:
    """Task transitions on one lane.

    `directly` is for callers that ask for one thing at a time, and are not cancelled or can bear a lost
    answer: the exchange may then run in their own task, and is quicker.
    """

    def __init__(self, lane: Sender, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock
        self._keys: dict[str, QueueKeys] = {}
        self._registered: dict[str, float] = {}

    def keys(self, queue: str) -> QueueKeys:
        known = self._keys.get(queue)
        if known is None:
            known = self._keys[queue] = QueueKeys(queue)
        return known

    async def ping(self) -> None:
        await self._lane.call("PING")

    # -- new tasks --------------------------------------------------------------------------------------

    async def enqueue(
        self, queue: str, tasks: Sequence[NewTask], *, repeated: bool = False, directly: bool = False
    ) -> list[Storing]:
        """Store tasks that can run at once.

        `repeated`: an earlier attempt had no answer, so a task stored with this very message is ours.
        Source: wire format 5.1, 5.2.
        """
        k = self.keys(queue)
        items: Iterable[Argument] = chain.from_iterable(tasks)
        arguments = (k.task_prefix, self._now_ns(), int(repeated), *items)
        return await self._store(queue, [k.pending], arguments, _ENQUEUE, directly=directly)

    async def schedule(
        self, queue: str, tasks: Sequence[tuple[NewTask, int, str]], *, repeated: bool = False
    ) -> list[Storing]:
        """Store tasks for later: each with its time in unix seconds, and its group or "".

        Source: wire format 5.3; Q-01.
        """
        k = self.keys(queue)
        items: Iterable[Argument] = chain.from_iterable((*task, at, group) for task, at, group in tasks)
        return await self._store(queue, [k.scheduled], (k.task_prefix, int(repeated), *items), _SCHEDULE)

    async def add_to_group(
        self, queue: str, tasks: Sequence[tuple[NewTask, str]], *, repeated: bool = False
    ) -> list[Storing]:
        """Store tasks in their groups. Source: wire format 5.5."""
        k = self.keys(queue)
        now = int(self._clock.time())
        items: Iterable[Argument] = chain.from_iterable((*task, group) for task, group in tasks)
        arguments = (k.task_prefix, k.group_prefix, now, int(repeated), *items)
        return await self._store(queue, [k.groups], arguments, _ADD_TO_GROUP)

    async def enqueue_unique(
        self,
        queue: str,
        task: NewTask,
        state: str,
        *,
        score: int,
        group: str,
        until: str,
        replaces: bool,
        repeated: bool = False,
    ) -> Storing:
        """Store a task unless another holds its lock, or in the place of that one if it waits (`replaces`).

        `until`: when a task holds nobody up any more: "start", "success", "end" or "ttl". `score`: unix
        seconds. Source: wire format 5.2, 5.3, 5.5.
        """
        k = self.keys(queue)
        arguments = (
            *(k.prefix, self._now_ns(), int(repeated), state, score, group, task.id, task.message),
            *(task.lock_ms, until, int(replaces)),
        )
        script_keys = [task.lock, k.pending, k.scheduled, k.groups]
        (answer,) = await self._store(queue, script_keys, arguments, _ENQUEUE_UNIQUE)
        return answer

    async def _store(
        self,
        queue: str,
        script_keys: list[str],
        arguments: tuple[Argument, ...],
        script: Script,
        *,
        directly: bool = False,
    ) -> list[Storing]:
        command = script(script_keys, arguments)
        now = self._clock.monotonic()
        if now - self._registered.get(queue, -REGISTER_AGAIN) < REGISTER_AGAIN:
            answers = await self._send(command, directly)
        else:
            # goes out in the same round trip, before the tasks: no tool ever misses a queue that has one
            registering = self._lane.post(Command(("SADD", keys.QUEUES, queue)))
            storing = self._lane.post(command)
            await asyncio.gather(registering, storing, return_exceptions=True)
            answers = storing.result()
            _check_registered(registering)
            self._registered[queue] = now
        if isinstance(answers, Confirmed):
            return _confirmed(answers)
        return [_STORED[answer] for answer in answers]

    # -- running tasks ----------------------------------------------------------------------------------

    async def dequeue(
        self,
        queue: str,
        count: int,
        *,
        expires_at: int,
        token: int,
        repeated: bool = False,
        directly: bool = False,
    ) -> list[Fetched] | None:
        """Take the next tasks of a queue, at most `count`, or None if it is paused.

        `expires_at`: when the leases end, unix seconds. `token`: 1 … 999999, new for each fetch; it marks the
        tasks as ours. `repeated`: an earlier attempt with this token and expiry had no answer; what it took
        is returned instead.
        Source: wire format 5.6.
        """
        k = self.keys(queue)
        arguments = (f"{expires_at}.{token:06d}", k.prefix, count, int(repeated))
        reply = await self._send(_DEQUEUE([k.pending, k.paused, k.active, k.lease], arguments), directly)
        if reply == b"PAUSED":
            return None
        return [
            Fetched(
                task_id.decode("utf-8", "surrogateescape"), message, whole(crashes) if crashes else 0, since
            )
            for task_id, message, crashes, since in _in_fours(reply)
        ]

    async def done(self, queue: str, tasks: Sequence[tuple[Owned, str]]) -> list[bool]:
        """Forget tasks that succeeded, each with the key of its lock or "". Source: wire format 5.7."""
        k = self.keys(queue)
        now = self._clock.time()
        arguments = (*self._finish(k, now), *chain.from_iterable((*task, lock) for task, lock in tasks))
        return await self._owned(_DONE([k.active, k.lease, k.processed_on(now), k.processed], arguments))

    async def complete(self, queue: str, tasks: Sequence[tuple[Owned, str, bytes, int]]) -> list[bool]:
        """Keep tasks that succeeded: each with lock, new message, end of retention in unix seconds.

        Source: wire format 5.8; Q-13.
        """
        k = self.keys(queue)
        now = self._clock.time()
        items = chain.from_iterable((*task, lock, message, end) for task, lock, message, end in tasks)
        script_keys = [k.active, k.lease, k.completed, k.processed_on(now), k.processed]
        return await self._owned(_COMPLETE(script_keys, (*self._finish(k, now), *items)))

    async def retry(self, queue: str, tasks: Sequence[tuple[Owned, bytes, int, bool]]) -> list[bool]:
        """Put tasks where they wait for their next try: each with new message, time of it in unix seconds,
        and whether the last one counts as a failure.

        Source: wire format 5.9.
        """
        k = self.keys(queue)
        now = self._clock.time()
        items = chain.from_iterable((*task, msg, at, int(counts)) for task, msg, at, counts in tasks)
        script_keys = [k.active, k.lease, k.retry, *self._failure_counters(k, now)]
        return await self._owned(_RETRY(script_keys, (*self._finish(k, now), *items)))

    async def archive(self, queue: str, tasks: Sequence[tuple[Owned, bytes]]) -> list[bool]:
        """Put tasks aside that failed for good, each with its new message. Source: wire format 5.10; Q-10."""
        k = self.keys(queue)
        now = self._clock.time()
        bounds = (int(now), int(now) - limits.ARCHIVE_AGE, limits.ARCHIVE_SIZE, limits.TRIM_BATCH)
        items = chain.from_iterable((*task, message) for task, message in tasks)
        script_keys = [k.active, k.lease, k.archived, *self._failure_counters(k, now)]
        return await self._owned(_ARCHIVE(script_keys, (*self._finish(k, now), *bounds, *items)))

    async def requeue(self, queue: str, tasks: Sequence[Owned]) -> list[bool]:
        """Hand tasks back, in the order in which they shall run. Source: wire format 5.11; Q-06."""
        k = self.keys(queue)
        arguments = (k.task_prefix, self._now_ns(), *chain.from_iterable(tasks))
        return await self._owned(_REQUEUE([k.active, k.lease, k.pending], arguments))

    async def postpone(self, queue: str, tasks: Sequence[tuple[Owned, int]]) -> list[bool]:
        """Put tasks off that have not run, each until its time in unix seconds. Source: reliability: F30."""
        k = self.keys(queue)
        arguments = (k.task_prefix, *chain.from_iterable((*task, at) for task, at in tasks))
        return await self._owned(_POSTPONE([k.active, k.lease, k.scheduled], arguments))

    async def extend(self, queue: str, tasks: Sequence[Owned], *, expires_at: int) -> list[bool]:
        """Let the leases of running tasks end at `expires_at`, unix seconds. Source: wire format 5.13."""
        k = self.keys(queue)
        return await self._owned(_EXTEND([k.lease], (expires_at, *chain.from_iterable(tasks))))

    async def asked_to_cancel(self, queue: str, tasks: Sequence[Owned]) -> list[bool]:
        """Which of these tries does somebody want to be cancelled? See `Inspection.ask_to_cancel`."""
        k = self.keys(queue)
        return await self._owned(_ASKED_TO_CANCEL([k.lease], (k.task_prefix, *chain.from_iterable(tasks))))

    async def renew_locks(self, queue: str, tasks: Sequence[tuple[Owned, str]]) -> list[bool]:
        """Let locks of running tasks last longer, each with its key. Those without a rule are left alone."""
        k = self.keys(queue)
        items = chain.from_iterable((*task, lock) for task, lock in tasks)
        return await self._owned(_RENEW_LOCKS([k.lease], (k.task_prefix, *items)))

    async def write_result(self, queue: str, task_id: str, token: int, result: bytes) -> bool:
        """Keep what a running task reports; a later call replaces it. Source: wire format 5.18; Q-14."""
        k = self.keys(queue)
        return bool(
            await self._lane.post(_WRITE_RESULT([k.task(task_id), k.lease], (task_id, token, result)))
        )

    async def write_progress(self, queue: str, task_id: str, token: int, progress: bytes) -> bool:
        """Keep how far a running task has come; a later call replaces it. Source: Go ignores the field."""
        k = self.keys(queue)
        arguments = (task_id, token, progress)
        return bool(await self._lane.post(_WRITE_PROGRESS([k.task(task_id), k.lease], arguments)))

    # -- upkeep -----------------------------------------------------------------------------------------

    async def is_due(self, queue: str) -> bool:
        """Look whether a task waits whose time has come: cheaper than a script that finds none."""
        k = self.keys(queue)
        now = int(self._clock.time())
        first = ("-inf", now, "LIMIT", 0, 1)
        looks = [Command(("ZRANGEBYSCORE", waiting, *first)) for waiting in (k.scheduled, k.retry)]
        return any(await self._lane.call_all(*looks))

    async def forward(self, queue: str) -> int:
        """Make tasks pending whose time has come: one step. Returns a number below limits.FORWARD_BATCH when
        nothing is left. Source: wire format 5.12; Q-05, Q-09.
        """
        k = self.keys(queue)
        now = int(self._clock.time())
        arguments = (k.task_prefix, k.group_prefix, now, self._now_ns(), limits.FORWARD_BATCH)
        return int(await self._lane.post(_FORWARD([k.scheduled, k.retry, k.pending, k.groups], arguments)))

    async def recover(self, queue: str, *, ended_by: float) -> list[str]:
        """Hand tasks back whose lease ended by then (unix seconds): one step of limits.RECOVER_BATCH.

        Returns: their IDs, the lease that ended last first: in the end the task lost longest runs next.
        Source: wire format 5.13; reliability: lost workers do not use up retries.
        """
        k = self.keys(queue)
        arguments = (k.task_prefix, f"{ended_by:.6f}", self._now_ns(), limits.RECOVER_BATCH)
        reply = await self._lane.post(_RECOVER([k.lease, k.active, k.pending], arguments))
        return [task_id.decode("utf-8", "replace") for task_id in reply]

    async def recover_owned(self, queue: str, tasks: Sequence[Owned]) -> list[bool]:
        """Hand back what a dead worker ran, before its leases end, in the order in which it shall run.

        Source: as `recover`; reliability: F31.
        """
        k = self.keys(queue)
        arguments = (k.task_prefix, self._now_ns(), *chain.from_iterable(tasks))
        return await self._owned(_RECOVER_OWNED([k.active, k.lease, k.pending], arguments))

    async def strays(self, queue: str) -> list[bytes]:
        """Look for running tasks without a lease, oldest first, among the limits.REPAIR_DEPTH oldest.

        Returns: their IDs as they are stored. Source: reliability: F62.
        """
        k = self.keys(queue)
        found: list[bytes] = []
        for first in range(0, limits.REPAIR_DEPTH, limits.REPAIR_BATCH):
            places = (first, first + limits.REPAIR_BATCH - 1)
            seen, *ids = await self._lane.post(_STRAYS([k.active, k.lease], places))
            found += ids
            if seen < limits.REPAIR_BATCH:
                break
        return found

    async def reclaim(self, queue: str, task_ids: Sequence[bytes]) -> list[str]:
        """Hand those of these tasks back, at most limits.REPAIR_BATCH, that are active without a lease."""
        k = self.keys(queue)
        arguments: tuple[Argument, ...] = (k.task_prefix, self._now_ns(), *task_ids)
        reply = await self._lane.post(_RECLAIM([k.active, k.lease, k.pending], arguments))
        return [task_id.decode("utf-8", "replace") for task_id in reply]

    async def expire(self, queue: str, batch: int) -> int:
        """Forget completed tasks whose retention has ended, at most `batch`. Source: wire format 5.17."""
        k = self.keys(queue)
        arguments = (k.task_prefix, int(self._clock.time()), batch)
        return int(await self._lane.post(_EXPIRE([k.completed], arguments)))

    # -- looking ----------------------------------------------------------------------------------------

    async def task(self, queue: str, task_id: str) -> StoredTask | None:
        """Look at one task. Source: wire format 7.4."""
        k = self.keys(queue)
        reply = await self._lane.post(_TASK_INFO([k.task(task_id)], (task_id, k.prefix)))
        if reply is None:
            return None
        message, state, score, result, progress = reply
        return StoredTask(
            message,
            (state or b"").decode("utf-8", "replace"),
            None if score is None else float(score),
            result or None,
            progress or None,
        )

    async def _send(self, command: Command, directly: bool) -> Reply:
        return await (self._lane.ask(command) if directly else self._lane.post(command))

    async def _owned(self, command: Command) -> list[bool]:
        return [answer == 1 for answer in await self._lane.post(command)]

    def _now_ns(self) -> int:
        return int(self._clock.time() * 1_000_000) * 1000

    def _finish(self, k: QueueKeys, now: float) -> tuple[Argument, ...]:
        return (k.task_prefix, int(now) + limits.STATISTICS_TTL, limits.MAX_INT64)

    def _failure_counters(self, k: QueueKeys, now: float) -> Iterable[str]:
        return (k.processed_on(now), k.failed_on(now), k.processed, k.failed)


def _in_fours(reply: Sequence[Reply]) -> Iterable[tuple[Reply, ...]]:
    """Split a flat answer into records."""
    return zip(*[iter(reply)] * 4, strict=True)


def _confirmed(answers: Confirmed) -> list[Storing]:
    stored: Storing = Stored.YES
    if answers.replicas < answers.wanted:
        stored = Unconfirmed(answers.replicas, answers.wanted)
    return [stored if answer == Stored.YES else _STORED[answer] for answer in answers.reply]


def _check_registered(answer: asyncio.Future[Reply]) -> None:
    """Raise what went wrong. In a Cluster the tasks are stored all the same, by another node."""
    try:
        answer.result()
    except (BrokerUnavailableError, BrokerError) as error:
        if is_withheld(error):
            raise
        raise BrokerUnavailableError(str(error), maybe_done=True) from error.__cause__
