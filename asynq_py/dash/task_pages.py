"""One pass over the tasks of a queue: the counts, and a page of what is wished for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from asynq_py import GroupInfo, Inspector, QueueInfo, TaskInfo
from asynq_py.cli import states
from asynq_py.dash.how_far import Place, looked_up
from asynq_py.dash.search import Search

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants to see. `page` counts from 1. `again`: grows when a filter is to begin anew."""

    state: str
    group: str | None = None
    wanted: str = ""
    page: int = 1
    again: int = 0

    @property
    def is_of_groups(self) -> bool:
        """The groups themselves are listed, until one is chosen."""
        return self.state == "aggregating" and self.group is None and not self.wanted


@dataclass(frozen=True, slots=True)
class TasksSeen:
    """`total`: how many there are of what is listed, as far as known. `read`: tasks that a filter saw.
    `is_searching`: there may be more.
    """

    wish: Wish
    info: QueueInfo
    tasks: Sequence[TaskInfo] = ()
    groups: Sequence[GroupInfo] = ()
    total: int = 0
    read: int = 0
    is_searching: bool = False

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))


class TaskPages:
    """Looks at one queue."""

    def __init__(self, inspector: Inspector, queue: str) -> None:
        self._inspector = inspector
        self._queue = queue
        self._search: tuple[Wish, Search] | None = None

    async def look(self, wish: Wish) -> TasksSeen:
        seen = await self._look(wish)
        if wish.state != "active":
            return seen
        # a list does not tell how far its tasks have come
        found = await looked_up(self._inspector, [Place(self._queue, info.id) for info in seen.tasks])
        progress = {info.id: info.progress for info in found.values()}
        return replace(seen, tasks=[replace(info, progress=progress.get(info.id)) for info in seen.tasks])

    async def _look(self, wish: Wish) -> TasksSeen:
        info = await self._inspector.queue_info(self._queue)
        first = (wish.page - 1) * PAGE
        if wish.is_of_groups:
            groups = await self._inspector.groups(self._queue)
            return TasksSeen(wish, info, groups=groups[first : first + PAGE], total=len(groups))
        if wish.wanted:
            return await self._filtered(wish, info, first)
        total = await self._total(wish, info)
        tasks = await states.page_of(self._inspector, self._queue, wish.state, wish.group, wish.page, PAGE)
        return TasksSeen(wish, info, tasks=tasks, total=total)

    async def _total(self, wish: Wish, info: QueueInfo) -> int:
        if wish.group is None:
            return int(getattr(info, wish.state))  # its counts go by the names of the states
        return await states.count(self._inspector, self._queue, wish.state, wish.group)

    async def _filtered(self, wish: Wish, info: QueueInfo, first: int) -> TasksSeen:
        search = self._search_for(wish)
        try:
            is_done = await search.reach(first + PAGE + 1)  # one more says that there is another page
        except BaseException:
            self._search = None  # what broke off half-way cannot go on
            raise
        found = search.found
        return TasksSeen(
            wish, info, tasks=found[first : first + PAGE], total=len(found), read=search.seen,
            is_searching=not is_done,
        )  # fmt: skip

    def _search_for(self, wish: Wish) -> Search:
        """The one that is under way, whatever page of it is wished for, or a new one."""
        if self._search is not None:
            old, search = self._search
            if (old.state, old.group, old.wanted, old.again) == (
                wish.state, wish.group, wish.wanted, wish.again,
            ):  # fmt: skip
                return search
        search = Search(self._inspector, self._queue, wish.state, wish.group, wish.wanted)
        self._search = (wish, search)
        return search
