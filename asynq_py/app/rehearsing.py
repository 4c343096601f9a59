"""Rehearsing: an app whose tasks go to a Rehearsal, and whose handles let it play."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from asynq_py.app.connections import Connections, Outlet
from asynq_py.app.router import CronEntry
from asynq_py.app.waiting import ENDED, Waiting
from asynq_py.errors import QueueNotFoundError, TaskNotFoundError
from asynq_py.info import TaskInfo
from asynq_py.testing.rehearsal import Rehearsal


class PlayedWaiting(Waiting):
    """Who waits for a task lets it run first, unless that is a task itself."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal.inspector, rehearsal.redis)
        self._rehearsal = rehearsal

    async def let_run(self) -> None:
        if not self._rehearsal.is_below:
            await self._rehearsal.run_until_idle()

    async def ended(self, queue: str, task_id: str) -> TaskInfo:
        """Raises: AssertionError: it does not end before time moves."""
        if self._rehearsal.is_below:
            with self._rehearsal.real_time():
                return await super().ended(queue, task_id)
        await self._rehearsal.run_until_idle()
        try:
            info = await self._rehearsal.inspector.task_info(queue, task_id)
        except QueueNotFoundError:
            raise TaskNotFoundError(queue, task_id) from None
        if info.state not in ENDED:
            when = f" until {info.next_process_at}" if info.next_process_at is not None else ""
            raise AssertionError(
                f"task {info.type} {task_id} has not ended: it is {info.state}{when}; move time on with "
                "`advance()`"
            )
        return info


@asynccontextmanager
async def rehearsed(
    rehearsal: Rehearsal, outlet: Outlet, entries: Iterable[CronEntry]
) -> AsyncIterator[Rehearsal]:
    """Let the app of this outlet play in a rehearsal."""
    async with rehearsal:

        def connections() -> Connections:
            made = Connections(rehearsal.redis, rehearsal.middleware, rehearsal.clock)
            made.waiting = PlayedWaiting(rehearsal)
            made.inspector = rehearsal.new_inspector()
            return made

        for entry in entries:
            rehearsal.scheduler.register(entry.spec, entry.task.task(), **entry.options)
        with outlet.instead(connections):
            try:
                yield rehearsal
            finally:
                await outlet.aclose()
