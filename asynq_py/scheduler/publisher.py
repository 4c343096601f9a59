"""Publisher: says what the scheduler enqueues and when, for tools to show. Behaviour 12.1."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import anyio

from asynq_py import option_text
from asynq_py.broker.registry import Registry
from asynq_py.clock import Clock
from asynq_py.errors import BrokerError, BrokerUnavailableError
from asynq_py.outage import Outage, every
from asynq_py.process import identity
from asynq_py.scheduler.entry import Entry
from asynq_py.wire.messages import SchedulerEntry, encode, set_instant

SWEEP: Final = 12  # beats between sweeps of dead schedulers
FAREWELL: Final = 2.0  # seconds given to the last word
NEVER: Final = -62135596800  # Go's zero time; a field left out would read as 1970. Wire format 3.4


class Publisher:
    """`entries`: those of the moment. `heartbeat`: seconds. `set_clock`: by that of Redis."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        outage: Outage,
        entries: Callable[[], Collection[Entry]],
        *,
        heartbeat: float,
        set_clock: Callable[[], Awaitable[object]],
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._outage = outage
        self._entries = entries
        self._heartbeat = heartbeat
        self._set_clock = set_clock
        self._identity = identity()
        self._left: list[str] = []
        self._beats = 0

    def forget(self, entry_id: str) -> None:
        """The entry is no more: its history goes with the next beat (Q-26)."""
        self._left.append(entry_id)

    async def run(self) -> None:
        try:
            await every(lambda: self._heartbeat, self.beat_once, self._outage)
        finally:
            with anyio.move_on_after(FAREWELL, shield=True):
                await self._say_goodbye()

    async def beat_once(self) -> None:
        now, ttl = self._clock.time(), max(2, math.ceil(2 * self._heartbeat))
        entries = [encode(self._told(entry, now)) for entry in self._entries()]
        await self._registry.write_entries(self._identity, entries, now=now, ttl=ttl)
        if self._left:
            await self._registry.clear_history(left := self._left[:])
            del self._left[: len(left)]
        if self._beats % SWEEP == 0:
            await self._registry.sweep_schedulers(now=now)
        self._beats += 1
        await self._set_clock()

    async def _say_goodbye(self) -> None:
        gone = [*self._left, *(entry.id for entry in self._entries())]
        with contextlib.suppress(BrokerUnavailableError, BrokerError):  # all of it ends by itself
            await self._registry.clear_entries(self._identity)
            await self._registry.clear_history(gone)

    def _told(self, entry: Entry, now: float) -> SchedulerEntry:
        following = entry.schedule.next_after(now) if entry.last is None else entry.next
        told = SchedulerEntry(
            id=entry.id,
            spec=entry.spec,
            task_type=entry.task.type,
            task_payload=entry.task.payload,
            enqueue_options=option_text.write(entry.options),
        )
        set_instant(told.next_enqueue_time, NEVER if following is None else following)
        set_instant(told.prev_enqueue_time, NEVER if entry.previous is None else entry.previous)
        return told
