"""Aggregator: groups that are due → one task each. Behaviour 11.7.

Tasks are taken out of their group into a set; the user's function makes one task of them; and in one step
that task is stored and those of the set are forgotten (Q-35). The set's ID is that of the new task. Whatever
goes wrong before leaves the set as it is: when its time is over its tasks go back to their group.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import anyio

from asynq_py.broker.groups import Aggregate, Finished, Groups, Member, Rules, TakenSet
from asynq_py.clock import Clock
from asynq_py.errors import AsynqError, BrokerError, BrokerUnavailableError, MessageDecodeError
from asynq_py.server.config import GroupAggregator
from asynq_py.server.each import each
from asynq_py.server.outage import Backoff, Outage, every
from asynq_py.server.threads import Threads
from asynq_py.submission import submission
from asynq_py.task import Task
from asynq_py.tracebacks import writable
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import TaskMessage, decode_task, failed, stand_in

logger = logging.getLogger(__name__)
logger.addFilter(writable)

LOOK: Final = 1.0  # seconds between looks for groups that are due
AT_ONCE: Final = 3  # sets aggregated at the same time, as in Go


_Start: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]


class Aggregator:
    """`aggregate`: gets the name of a group and its tasks, the oldest first; returns one task."""

    def __init__(
        self,
        groups: Groups,
        clock: Clock,
        outage: Outage,
        queues: Collection[str],
        *,
        aggregate: GroupAggregator,
        rules: Rules,
        threads: Threads,
    ) -> None:
        self._groups = groups
        self._clock = clock
        self._outage = outage
        self._queues = queues
        self._aggregate = aggregate
        self._rules = rules
        self._threads = threads
        self._busy: set[tuple[str, str]] = set()
        self._free = anyio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            # a slow function holds up its own group, and others only when AT_ONCE of them are slow
            await every(lambda: LOOK, partial(self._look, tasks.start_soon), self._outage)

    async def aggregate_once(self) -> None:
        """Aggregate every group that is due, in all queues, after giving back what others left undone."""
        async with anyio.create_task_group() as tasks:
            await self._look(tasks.start_soon)

    async def _look(self, start: _Start) -> None:
        await each(self._queues, partial(self._look_at, start))

    async def _look_at(self, start: _Start, queue: str) -> None:
        if count := await self._groups.reclaim_sets(queue):
            logger.warning("gave %d tasks in %r back to their groups: aggregating them failed", count, queue)
        async for group in self._groups.due_groups(queue, self._rules):
            if (queue, group) not in self._busy:
                await self._free.acquire()
                self._busy.add((queue, group))
                start(partial(self._aggregate_group, queue, group))

    async def _aggregate_group(self, queue: str, group: str) -> None:
        try:
            while taken := await self._take(queue, group):
                await self._aggregate_set(taken)
        except BrokerUnavailableError as error:
            self._outage.noticed(error)
        except BrokerError as error:
            logger.error("group %r in %r: %s", group, queue, error)
        finally:
            self._busy.discard((queue, group))
            self._free.release()

    async def _take(self, queue: str, group: str) -> TakenSet | None:
        return await self._groups.take_set(queue, group, self._rules, set_id=str(uuid.uuid4()))

    async def _aggregate_set(self, taken: TakenSet) -> None:
        try:
            taken, messages = await self._messages(taken)
            locks = [(message.id.encode(), message.unique_key) for message in messages if message.unique_key]
            if not messages:
                await self._finish(taken, None, locks)
                return
            aggregate = await self._call(taken, messages)
            if aggregate is not None:
                await self._finish(taken, aggregate, locks)
        except asyncio.CancelledError:  # the server ends: let others have these tasks soon
            with anyio.CancelScope(shield=True):
                await self._give_up(taken)
            raise

    async def _messages(self, taken: TakenSet) -> tuple[TakenSet, list[TaskMessage]]:
        """Read the set, and put aside what cannot be read. Returns what is left of it."""
        good: list[TaskMessage] = []
        bad: list[Member] = []
        for member in await self._groups.read_set(taken):
            if not member.message:
                continue
            task_id = member.id.decode("utf-8", "backslashreplace")
            try:
                good.append(decode_task(member.message, queue=taken.queue, task_id=task_id))
            except MessageDecodeError as error:
                logger.error("put aside a task of group %r: %s", taken.group, error)
                message = stand_in(member.message, queue=taken.queue, task_id=task_id)
                text = failed(message, error=str(error), now=self._clock.time(), counted=False)
                bad.append(Member(member.id, text))
        if bad:
            taken = await self._groups.set_aside(taken, bad)
        return taken, good

    async def _call(self, taken: TakenSet, messages: Sequence[TaskMessage]) -> Aggregate | None:
        """Let the user's function make one task. Returns None if it failed, which is logged."""
        try:
            async with asyncio.timeout(max(taken.ends_at - self._clock.time(), 0)):
                task = await self._made_by_user(taken.group, [_task(message) for message in messages])
            if not isinstance(task, Task):
                raise TypeError(f"the aggregator returned {type(task).__name__}, not a Task")
            return self._prepared(taken, task)
        except Exception:
            logger.exception(
                "aggregating group %r in %r failed; its %d tasks go back to it within %d s",
                *(taken.group, taken.queue, taken.size, max(taken.ends_at - self._clock.time(), 0)),
            )
            return None

    async def _made_by_user(self, group: str, tasks: list[Task]) -> Task:
        if _is_async(self._aggregate):
            made = self._aggregate(group, tasks)
        else:
            made = await asyncio.wrap_future(await self._threads.submit(self._aggregate, group, tasks))
        return await made if inspect.isawaitable(made) else made

    def _prepared(self, taken: TakenSet, task: Task) -> Aggregate:
        options = task.options.override({"queue": taken.queue})
        prepared = submission(
            *(task, options),
            keys=QueueKeys(taken.queue),
            task_id=options.task_id or taken.id,
            now=self._clock.time(),
        )
        return Aggregate(prepared.entry, prepared.state, int(prepared.process_at), options.group or "")

    async def _finish(
        self, taken: TakenSet, aggregate: Aggregate | None, locks: Sequence[tuple[bytes, str]]
    ) -> None:
        """Store the aggregate and forget the set, again and again while Redis is away and the set is ours."""
        backoff = Backoff()
        is_repeated = False
        while True:
            try:
                answer = await self._groups.finish_set(taken, aggregate, locks)
                break
            except BrokerUnavailableError as error:
                self._outage.noticed(error)
                is_repeated = is_repeated or error.maybe_done
                if self._clock.time() >= taken.ends_at:
                    return
                await anyio.sleep(backoff.next())
        self._outage.over()
        match answer:
            case Finished.GONE if not is_repeated:  # else it was the lost answer that said YES
                why = "it took so long that its tasks are back in their group, and aggregated again"
            case Finished.ID_IN_USE:
                why = "the ID of the aggregate is in use"
            case Finished.LOCKED:
                why = "the unique lock of the aggregate is held"
            case _:
                return
        logger.warning("the aggregate of group %r in %r is not stored: %s", taken.group, taken.queue, why)

    async def _give_up(self, taken: TakenSet) -> None:
        try:
            await self._groups.give_up(taken)
        except AsynqError as error:  # then they come back when the set's time is over
            logger.warning("group %r in %r gets its tasks back late: %s", taken.group, taken.queue, error)


def _task(message: TaskMessage) -> Task:
    """Make what the user's function gets: no ID, no options, as in Go. Unlike Task itself, take any type."""
    task = object.__new__(Task)
    plain = Task("t", message.payload, headers=dict(message.headers))
    object.__setattr__(task, "type", message.type)
    for name in ("payload", "headers", "options"):
        object.__setattr__(task, name, getattr(plain, name))
    return task


def _is_async(function: GroupAggregator) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
