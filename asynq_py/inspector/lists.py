"""The part of the Inspector that lists tasks by their state. Behaviour 13."""

from __future__ import annotations

from collections.abc import AsyncIterator

from asynq_py.broker.inspection import Place, Row
from asynq_py.errors import MessageDecodeError
from asynq_py.info import TaskInfo, task_info
from asynq_py.inspector.access import Access
from asynq_py.inspector.arguments import place_of, some, state_of
from asynq_py.wire.messages import decode_task, stand_in
from asynq_py.wire.state import TaskState


class Lists(Access):
    """Tasks of a state, by pages or one after the other."""

    async def list_pending(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that can run, next to run first."""
        return await self._page(place_of(queue, TaskState.PENDING), page, size)

    async def list_active(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that run, longest running first. `is_orphaned` says whose worker is lost."""
        return await self._page(place_of(queue, TaskState.ACTIVE), page, size)

    async def list_scheduled(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that wait for their time, earliest first."""
        return await self._page(place_of(queue, TaskState.SCHEDULED), page, size)

    async def list_retry(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that wait for their next try, earliest first."""
        return await self._page(place_of(queue, TaskState.RETRY), page, size)

    async def list_archived(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks put aside, oldest first."""
        return await self._page(place_of(queue, TaskState.ARCHIVED), page, size)

    async def list_completed(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that succeeded and are kept, those that will be forgotten first at the head."""
        return await self._page(place_of(queue, TaskState.COMPLETED), page, size)

    async def list_aggregating(self, queue: str, group: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that wait in a group, first added first."""
        return await self._page(place_of(queue, TaskState.AGGREGATING, group), page, size)

    async def tasks(
        self, queue: str, state: TaskState | str, *, group: str | None = None
    ) -> AsyncIterator[TaskInfo]:
        """All tasks of a state, in the order of its list, however many there are.

        `group`: whose tasks, with the state aggregating, and only then. The tasks may be moved or deleted
        while this goes on. One that comes meanwhile may be told or not.
        """
        place = place_of(queue, state_of(state), group)
        count = 0
        async for row in self._inspection.walk(place):
            count += 1
            if row.message is not None:
                yield self._told(place, row)
        if not count:
            await self._check_queue(queue)

    async def _page(self, place: Place, page: int, size: int) -> list[TaskInfo]:
        first, count = some(page, size)
        rows = await self._existing(place.queue, await self._inspection.page(place, first=first, count=count))
        return [self._told(place, row) for row in rows if row.message is not None]

    def _told(self, place: Place, row: Row) -> TaskInfo:
        """Make a row what callers get. What is not a task message becomes the payload of one."""
        queue, state = place.queue, place.state
        task_id, data, now = row.id.decode("utf-8", "surrogateescape"), row.message or b"", self._clock.time()
        try:
            message = decode_task(data, queue=queue, task_id=task_id)
        except MessageDecodeError:
            message = stand_in(data, queue=queue, task_id=row.id.decode("utf-8", "replace"))
        next_at = {TaskState.PENDING: now, TaskState.SCHEDULED: row.score, TaskState.RETRY: row.score}.get(
            state
        )
        is_orphaned = state is TaskState.ACTIVE and (row.score is None or row.score <= now)
        return task_info(
            message, state=state, next_process_at=next_at, result=row.result or None, is_orphaned=is_orphaned
        )
