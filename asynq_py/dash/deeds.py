"""What users may have done, as data: the question that says what it touches, and the doing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from asynq_py import AsynqError, BrokerError, BrokerUnavailableError, Inspector
from asynq_py.cli import flow, several, states
from asynq_py.cli.steer import ARCHIVE, CANCEL, DELETE, RUN, Verb

AT_ONCE: Final = 200  # moves that share round trips
TASK_VERBS: Final = {verb.name: verb for verb in (RUN, ARCHIVE, DELETE, CANCEL)}
FLOW_VERBS: Final = {verb.name: verb for verb in (flow.CANCEL, flow.RETRY)}
_FLOW_IN: Final = {"cancel": "running", "retry": "failed"}
# In which states a single task may be taken, where there is no such call for all of them.
_ONE: Final = {"run": "completed", "archive": "completed"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`text`: what was done. `failed`: what could not be done, and why."""

    text: str
    failed: tuple[str, ...] = ()


class Deed(Protocol):
    async def question(self, inspector: Inspector) -> str | None:
        """Say what it would touch, and how many, by what Redis has now. None: nothing at all."""
        ...

    async def do(self, inspector: Inspector) -> Outcome: ...


def allows_one(verb: str, state: str) -> bool:
    """May it be done to single tasks of that state?"""
    return state in TASK_VERBS[verb].states or _ONE.get(verb) == state


def allows_flow(verb: str, state: str) -> bool:
    """May it be done to a flow in that state?"""
    return _FLOW_IN[verb] == state


def allows_all(verb: str, state: str) -> bool:
    """May it be done to all tasks of that state?"""
    return state in TASK_VERBS[verb].states


@dataclass(frozen=True, slots=True)
class SomeTasks:
    """A verb for tasks by their IDs. Of any `queue`: ""."""

    verb: Verb
    queue: str
    ids: tuple[str, ...]

    async def question(self, inspector: Inspector) -> str | None:
        which = f"task {self.ids[0]}" if len(self.ids) == 1 else f"{len(self.ids):,} tasks"
        where = f" of queue {self.queue}" if self.queue else ""
        return f"{self.verb.name.capitalize()} {which}{where}?"

    async def do(self, inspector: Inspector) -> Outcome:
        async def one(task_id: str) -> None:
            await self.verb.one(inspector, self.queue, task_id)

        count, failed = await _each(self.ids, one)
        return Outcome(f"{_tasks(count)} {self.verb.past}", failed)


@dataclass(frozen=True, slots=True)
class AllTasks:
    """A verb for all tasks of a state; of one group, if it is named."""

    verb: Verb
    queue: str
    state: str
    group: str | None = None

    async def question(self, inspector: Inspector) -> str | None:
        count = await states.count(inspector, self.queue, self.state, self.group)
        group = f" in group {self.group}" if self.group is not None else ""
        which = f"{count:,} {self.state} {'task' if count == 1 else 'tasks'}{group}"
        return f"{self.verb.name.capitalize()} {which} of queue {self.queue}?" if count else None

    async def do(self, inspector: Inspector) -> Outcome:
        if self.verb.all is None:  # there is no such call: one after the other
            walk = states.walk(inspector, self.queue, self.state, self.group)
            ids = tuple([info.id async for info in walk])
            return await SomeTasks(self.verb, self.queue, ids).do(inspector)
        count = 0
        for group in await states.groups_of(inspector, self.queue, self.state, self.group):
            count += await self.verb.all(inspector, self.queue, self.state, group)
        return Outcome(f"{_tasks(count)} {self.verb.past}")


REMOVE: Final = several.Verb(
    "delete", "deleted", lambda inspector, queue: inspector.delete_queue(queue, force=True)
)


@dataclass(frozen=True, slots=True)
class SomeQueues:
    """A verb for queues by their names."""

    verb: several.Verb
    queues: tuple[str, ...]

    async def question(self, inspector: Inspector) -> str | None:
        lost = ""
        if self.verb is REMOVE:  # the tasks go with them
            infos = await asyncio.gather(*map(inspector.queue_info, self.queues))
            lost = f" with {_tasks(sum(info.size for info in infos))}"
        which = f"queue {self.queues[0]}" if len(self.queues) == 1 else f"{len(self.queues):,} queues"
        return f"{self.verb.name.capitalize()} {which}{lost}?"

    async def do(self, inspector: Inspector) -> Outcome:
        async def one(queue: str) -> None:
            await self.verb.one(inspector, queue)

        count, failed = await _each(self.queues, one)
        return Outcome(f"{count:,} {'queue' if count == 1 else 'queues'} {self.verb.past}", failed)


@dataclass(frozen=True, slots=True)
class SomeFlows:
    """A verb for flows by their IDs."""

    verb: several.Verb
    ids: tuple[str, ...]

    async def question(self, inspector: Inspector) -> str | None:
        if len(self.ids) != 1:
            return f"{self.verb.name.capitalize()} {len(self.ids):,} flows?"
        info = await inspector.flow(self.ids[0])
        how_far = f"{info.done:,} of {info.total:,} steps done"
        return f"{self.verb.name.capitalize()} flow {info.id} ({info.name}), {info.state}, {how_far}?"

    async def do(self, inspector: Inspector) -> Outcome:
        async def one(flow_id: str) -> None:
            await self.verb.one(inspector, flow_id)

        count, failed = await _each(self.ids, one)
        return Outcome(f"{count:,} {'flow' if count == 1 else 'flows'} {self.verb.past}", failed)


async def _each(names: Sequence[str], one: Callable[[str], Awaitable[None]]) -> tuple[int, tuple[str, ...]]:
    """Do it to each, many in one round trip. Returns how many it was done to, and why not to the others."""
    failed: list[str] = []

    async def safely(name: str) -> None:
        try:
            await one(name)
        except (BrokerUnavailableError, BrokerError):
            raise
        except AsynqError as error:
            failed.append(str(error))

    for start in range(0, len(names), AT_ONCE):
        await asyncio.gather(*map(safely, names[start : start + AT_ONCE]))
    return len(names) - len(failed), tuple(failed)


def _tasks(count: int) -> str:
    return f"{count:,} {'task' if count == 1 else 'tasks'}"
