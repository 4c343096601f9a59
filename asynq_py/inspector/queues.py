"""The part of the Inspector for whole queues. Behaviour 13."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from asynq_py.broker.removal import Removal, Removed
from asynq_py.clock import Clock
from asynq_py.connection import RedisSource
from asynq_py.errors import AsynqError, QueueNotEmptyError
from asynq_py.info import DailyStats, GroupInfo, QueueInfo
from asynq_py.inspector.access import Access
from asynq_py.inspector.arguments import whole
from asynq_py.options import check_name

LONGEST_HISTORY: Final = 366  # days; Redis keeps 90


class Queues(Access):
    """Counts, history and groups of queues; pausing and deleting them."""

    def __init__(self, redis: RedisSource = None, *, clock: Clock | None = None) -> None:
        super().__init__(redis, clock=clock)
        self._removal = Removal(self._lane, self._clock, self._inspection)

    async def queues(self) -> list[str]:
        """The names of all queues, sorted."""
        return await self._registry.queues()

    async def queue_info(self, queue: str) -> QueueInfo:
        """Count the tasks of a queue, and tell how long the next one waits and how much memory they take."""
        check_name("queue", queue)
        now = self._clock.time()
        counts = await self._inspection.counts(queue)
        groups = await self._inspection.groups(queue) if counts.groups else {}
        aggregating = sum(groups.values())
        size = sum(counts[:6]) + aggregating
        if not size:
            await self._check_queue(queue)
        return QueueInfo(
            queue=queue,
            memory_usage=await self._inspection.memory(queue, list(groups), aggregating),
            latency=_latency(now, counts.pending_since),
            size=size,
            groups=counts.groups,
            pending=counts.pending,
            active=counts.active,
            scheduled=counts.scheduled,
            retry=counts.retry,
            archived=counts.archived,
            completed=counts.completed,
            aggregating=aggregating,
            processed=counts.processed,
            failed=counts.failed,
            processed_total=counts.processed_total,
            failed_total=counts.failed_total,
            is_paused=bool(counts.paused),
            looked_at=datetime.fromtimestamp(now, UTC),
        )

    async def history(self, queue: str, days: int) -> list[DailyStats]:
        """What was processed on each of the last days, today first. Redis keeps 90 of them."""
        check_name("queue", queue)
        counted = await self._inspection.history(queue, whole("days", days, LONGEST_HISTORY))
        await self._check_queue(queue)
        return [
            DailyStats(
                queue=queue, date=datetime.fromtimestamp(at, UTC).date(), processed=processed, failed=failed
            )
            for at, processed, failed in counted
        ]

    async def groups(self, queue: str) -> list[GroupInfo]:
        """The groups of a queue in which tasks wait, by name."""
        sizes = await self._existing(queue, await self._inspection.groups(check_name("queue", queue)))
        return [GroupInfo(group=group, size=size) for group, size in sizes.items()]

    async def pause_queue(self, queue: str) -> None:
        """Stop a queue from being fetched, by any server. Raises: AsynqError: it is paused already."""
        if not await self._registry.pause(check_name("queue", queue), now=self._clock.time()):
            raise AsynqError(f"queue {queue!r} is already paused")

    async def unpause_queue(self, queue: str) -> None:
        """Let a queue be fetched again. Raises: AsynqError: it is not paused."""
        if not await self._registry.unpause(check_name("queue", queue)):
            raise AsynqError(f"queue {queue!r} is not paused")

    async def delete_queue(self, queue: str, *, force: bool = False) -> None:
        """Forget a queue with its counters and its pause. Completed tasks and those in groups are tasks, too.

        `force`: with its tasks and their unique locks. Meanwhile no worker takes any of them.

        Raises: QueueNotEmptyError: it has tasks; with `force` some are running, or new ones keep coming.
        """
        await self._check_queue(check_name("queue", queue))
        answer = await self._removal.remove(queue, force=force)
        if answer is not Removed.OK:
            raise QueueNotEmptyError(queue, "running tasks" if answer is Removed.ACTIVE else "tasks")


def _latency(now: float, since_ns: int) -> float:
    return max(0, int(now * 1_000_000) * 1000 - since_ns) / 1e9 if since_ns else 0.0
