"""The operations of an Inspector by the state they are for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

import asynq_py

STATES: Final = ("active", "pending", "aggregating", "scheduled", "retry", "archived", "completed")


AT_ONCE: Final = 100  # queues that are looked at together


async def queue_infos(inspector: asynq_py.Inspector) -> list[asynq_py.QueueInfo]:
    """Look at all queues, many in one round trip. One that is deleted meanwhile is left out."""

    async def one(name: str) -> asynq_py.QueueInfo | None:
        try:
            return await inspector.queue_info(name)
        except asynq_py.QueueNotFoundError:
            return None

    names = await inspector.queues()
    found: list[asynq_py.QueueInfo | None] = []
    for start in range(0, len(names), AT_ONCE):
        found += await asyncio.gather(*map(one, names[start : start + AT_ONCE]))
    return [info for info in found if info is not None]


def is_of_type(info: asynq_py.TaskInfo, pattern: str | None) -> bool:
    """`pattern`: a type, or a pattern such as `email:*`; None: any."""
    return pattern is None or fnmatchcase(info.type, pattern)


async def groups_of(
    inspector: asynq_py.Inspector, queue: str, state: str, group: str | None
) -> Sequence[str | None]:
    """Which groups are meant: the one that is named, all of them, or none, as only one state has groups."""
    if state != "aggregating" or group is not None:
        return [group]
    return [info.group for info in await inspector.groups(queue)]


async def walk(
    inspector: asynq_py.Inspector, queue: str, state: str, group: str | None
) -> AsyncIterator[asynq_py.TaskInfo]:
    """All tasks of a state; without a group those of all groups."""
    for name in await groups_of(inspector, queue, state, group):
        async for info in inspector.tasks(queue, state, group=name):
            yield info


async def count(inspector: asynq_py.Inspector, queue: str, state: str, group: str | None) -> int:
    """How many tasks of that state there are."""
    if group is not None:
        sizes = {info.group: info.size for info in await inspector.groups(queue)}
        return sizes.get(group, 0)
    info = await inspector.queue_info(queue)
    return {
        "active": info.active, "pending": info.pending, "aggregating": info.aggregating,
        "scheduled": info.scheduled, "retry": info.retry, "archived": info.archived,
        "completed": info.completed,
    }[state]  # fmt: skip


async def page_of(
    inspector: asynq_py.Inspector, queue: str, state: str, group: str | None, page: int, size: int
) -> list[asynq_py.TaskInfo]:
    """A page of one state, or of one group."""
    match state:
        case "active":
            return await inspector.list_active(queue, page, size)
        case "pending":
            return await inspector.list_pending(queue, page, size)
        case "scheduled":
            return await inspector.list_scheduled(queue, page, size)
        case "retry":
            return await inspector.list_retry(queue, page, size)
        case "archived":
            return await inspector.list_archived(queue, page, size)
        case "completed":
            return await inspector.list_completed(queue, page, size)
        case _:
            return await inspector.list_aggregating(queue, group or "", page, size)


async def run_all(inspector: asynq_py.Inspector, queue: str, state: str, group: str | None) -> int:
    """Make all tasks of a state pending. Returns how many."""
    match state:
        case "scheduled":
            return await inspector.run_all_scheduled(queue)
        case "retry":
            return await inspector.run_all_retry(queue)
        case "archived":
            return await inspector.run_all_archived(queue)
        case _:
            return await inspector.run_all_aggregating(queue, group or "")


async def archive_all(inspector: asynq_py.Inspector, queue: str, state: str, group: str | None) -> int:
    """Put all tasks of a state aside. Returns how many."""
    match state:
        case "pending":
            return await inspector.archive_all_pending(queue)
        case "scheduled":
            return await inspector.archive_all_scheduled(queue)
        case "retry":
            return await inspector.archive_all_retry(queue)
        case _:
            return await inspector.archive_all_aggregating(queue, group or "")


async def delete_all(inspector: asynq_py.Inspector, queue: str, state: str, group: str | None) -> int:
    """Forget all tasks of a state. Returns how many."""
    match state:
        case "pending":
            return await inspector.delete_all_pending(queue)
        case "scheduled":
            return await inspector.delete_all_scheduled(queue)
        case "retry":
            return await inspector.delete_all_retry(queue)
        case "archived":
            return await inspector.delete_all_archived(queue)
        case "completed":
            return await inspector.delete_all_completed(queue)
        case _:
            return await inspector.delete_all_aggregating(queue, group or "")
