"""The part of the Inspector for all tasks of a state at once. Behaviour 13."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asynq_py.broker.inspection import Place
from asynq_py.inspector.access import Access
from asynq_py.inspector.arguments import place_of
from asynq_py.wire.state import TaskState


class Bulk(Access):
    """Run, archive or delete whatever is in a state. It goes in small steps, so it is not one moment."""

    async def run_all_scheduled(self, queue: str) -> int:
        """Make all scheduled tasks pending. Returns how many."""
        return await self._all(self._inspection.run_all, place_of(queue, TaskState.SCHEDULED))

    async def run_all_retry(self, queue: str) -> int:
        """Make all tasks pending that wait for their next try. Returns how many."""
        return await self._all(self._inspection.run_all, place_of(queue, TaskState.RETRY))

    async def run_all_archived(self, queue: str) -> int:
        """Make all archived tasks pending. Returns how many."""
        return await self._all(self._inspection.run_all, place_of(queue, TaskState.ARCHIVED))

    async def run_all_aggregating(self, queue: str, group: str) -> int:
        """Make all tasks of a group pending, one by one. Returns how many."""
        return await self._all(self._inspection.run_all, place_of(queue, TaskState.AGGREGATING, group))

    async def archive_all_pending(self, queue: str) -> int:
        """Put all pending tasks aside. Returns how many."""
        return await self._all(self._inspection.archive_all, place_of(queue, TaskState.PENDING))

    async def archive_all_scheduled(self, queue: str) -> int:
        """Put all scheduled tasks aside. Returns how many."""
        return await self._all(self._inspection.archive_all, place_of(queue, TaskState.SCHEDULED))

    async def archive_all_retry(self, queue: str) -> int:
        """Put all tasks aside that wait for their next try. Returns how many."""
        return await self._all(self._inspection.archive_all, place_of(queue, TaskState.RETRY))

    async def archive_all_aggregating(self, queue: str, group: str) -> int:
        """Put all tasks of a group aside. Returns how many."""
        return await self._all(self._inspection.archive_all, place_of(queue, TaskState.AGGREGATING, group))

    async def delete_all_pending(self, queue: str) -> int:
        """Forget all pending tasks. Returns how many."""
        return await self._all(self._inspection.delete_all, place_of(queue, TaskState.PENDING))

    async def delete_all_scheduled(self, queue: str) -> int:
        """Forget all scheduled tasks. Returns how many."""
        return await self._all(self._inspection.delete_all, place_of(queue, TaskState.SCHEDULED))

    async def delete_all_retry(self, queue: str) -> int:
        """Forget all tasks that wait for their next try. Returns how many."""
        return await self._all(self._inspection.delete_all, place_of(queue, TaskState.RETRY))

    async def delete_all_archived(self, queue: str) -> int:
        """Forget all archived tasks. Returns how many."""
        return await self._all(self._inspection.delete_all, place_of(queue, TaskState.ARCHIVED))

    async def delete_all_completed(self, queue: str) -> int:
        """Forget all completed tasks. Returns how many."""
        return await self._all(self._inspection.delete_all, place_of(queue, TaskState.COMPLETED))

    async def delete_all_aggregating(self, queue: str, group: str) -> int:
        """Forget all tasks of a group. Returns how many."""
        return await self._all(self._inspection.delete_all, place_of(queue, TaskState.AGGREGATING, group))

    async def _all(self, move: Callable[[Place], Awaitable[int]], place: Place) -> int:
        count = await move(place)
        if not count:
            await self._check_queue(place.queue)
        return count
