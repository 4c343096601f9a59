"""Looks at queues in bounded portions, so that a thousand of them cost no more than a screenful or two."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from asynq_py import Inspector, QueueInfo, QueueNotFoundError
from asynq_py.dash.trend import Trend

PORTION: Final = 50  # queues out of sight that are looked at in one pass


@dataclass(frozen=True, slots=True)
class QueuesSeen:
    """All queues by name. `trends`: of those that were looked at so far."""

    names: Sequence[str]
    trends: Mapping[str, Trend]

    @property
    def infos(self) -> Sequence[QueueInfo]:
        return [trend.looks[-1] for trend in self.trends.values()]


class QueueWatch:
    """Remembers what it saw. Those in sight are looked at in each pass, the others in turn."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._trends: dict[str, Trend] = {}
        self._last = ""  # where the turn stands

    async def look(self, in_sight: Sequence[str]) -> QueuesSeen:
        names = await self._inspector.queues()
        known = set(names)
        wanted = [name for name in in_sight if name in known]
        wanted += self._turn([name for name in names if name not in set(wanted)])
        infos = await asyncio.gather(*map(self._info, wanted))
        for info in infos:
            if info is not None:
                self._trends[info.queue] = self._trends.get(info.queue, Trend()).after(info)
        self._trends = {name: trend for name, trend in self._trends.items() if name in known}
        return QueuesSeen(tuple(names), dict(self._trends))

    def _turn(self, others: Sequence[str]) -> Sequence[str]:
        """The next portion: names after the last one, then from the first again."""
        ahead = [name for name in others if name > self._last]
        portion = [*ahead, *(name for name in others if name <= self._last)][:PORTION]
        self._last = portion[-1] if portion else ""
        return portion

    async def _info(self, name: str) -> QueueInfo | None:
        try:
            return await self._inspector.queue_info(name)
        except QueueNotFoundError:  # deleted a moment ago
            return None
