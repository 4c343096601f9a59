"""Slots: where tries run, `concurrency` at once; and a few tasks ahead that wait for the next free one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from asynq_py.active_task import CancelReason
from asynq_py.broker.broker import Broker
from asynq_py.handler import AsyncHandler
from asynq_py.server.attempt import Attempt, Surroundings
from asynq_py.server.config import ServerConfig
from asynq_py.server.deadlines import Deadlines
from asynq_py.server.inflight import InFlight
from asynq_py.server.lookahead import LookAhead
from asynq_py.server.outcome import Outcome, Requeue
from asynq_py.server.syncer import Syncer
from asynq_py.server.threads import Threads

logger = logging.getLogger(__name__)

FETCH_AT_ONCE: Final = 200  # tasks one script takes: a longer one would be felt by other clients
PATIENCE: Final = 0.1  # seconds a task waits for a slot here before another worker may have it


class Slots:
    """Runs tries as plain asyncio tasks. A task group would cost a callback for each, and here every one is
    known by its attempt, reports its end, and is waited for by the processor or in `tear_down`.
    """

    def __init__(
        self,
        handler: AsyncHandler,
        config: ServerConfig,
        *,
        results: Broker,
        syncer: Syncer,
        inflight: InFlight,
        threads: Threads,
    ) -> None:
        self._config = config
        self._syncer = syncer
        self._inflight = inflight
        self._around = Surroundings(handler, config, config.clock, results, threads, self.report)
        self._deadlines = Deadlines(inflight, config.clock)
        self._ahead: deque[Attempt] = deque()
        self._handling = 0
        self._bug: BaseException | None = None
        self._patience: asyncio.TimerHandle | None = None
        self.look_ahead = LookAhead(min(config.concurrency, FETCH_AT_ONCE))
        self.changed = inflight.shrank  # also set when a try has ended

    @property
    def around(self) -> Surroundings:
        return self._around

    @property
    def running_count(self) -> int:
        return self._handling

    @property
    def is_idle(self) -> bool:
        return not self._handling

    def wanted(self) -> int:
        """How many tasks to fetch now.

        A task whose outcome only waits to be written holds no slot, within bounds. Tasks ahead are fetched
        when half of them are used up, not one by one.
        """
        concurrency, ahead = self._config.concurrency, len(self._ahead)
        free = concurrency - self._handling
        target = self.look_ahead.target
        if not free and ahead > target // 2:
            return 0
        unwritten = len(self._inflight) - self._handling - ahead
        room = FETCH_AT_ONCE + concurrency - unwritten
        return max(0, min(free + target - ahead, room, FETCH_AT_ONCE))

    def accept(self, attempt: Attempt) -> None:
        """Run a try, now or when a slot is free. It must be in flight."""
        if self._handling < self._config.concurrency:
            self._begin(attempt)
            return
        self._ahead.append(attempt)
        if self._patience is None:
            self._be_patient()

    def report(self, attempt: Attempt, outcome: Outcome | None, bug: Exception | None = None) -> None:
        """A try has ended; its slot is free."""
        self._handling -= 1
        if self._ahead:
            self._begin(self._ahead.popleft())
        self.look_ahead.ended()
        self.changed.set()
        self._bug = self._bug or bug
        if outcome is None:
            self._inflight.remove(attempt)
        else:
            self._syncer.put(attempt, outcome)

    def hand_back(self) -> None:
        """Let other workers have the tasks that wait for a slot."""
        while self._ahead:
            attempt = self._ahead.popleft()
            self._syncer.put(attempt, Requeue(attempt.owned))

    async def change(self) -> None:
        """Wait until a slot or room for outcomes is free, or somebody sets `changed`.

        Raises: what went wrong outside of a handler, if a try could not even be judged.
        """
        await self.changed.wait()
        self.changed.clear()
        if self._bug is not None:
            raise self._bug

    def cancel(self, reason: CancelReason) -> None:
        """Cancel all running tries."""
        for attempt in self._inflight:
            attempt.cancel(reason)

    def close(self) -> None:
        """Stop the timers."""
        self._deadlines.close()
        if self._patience is not None:
            self._patience.cancel()

    async def tear_down(self) -> None:
        """End tries that are left when the whole server is cancelled."""
        while tasks := [attempt.task for attempt in self._inflight if attempt.task is not None]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=PATIENCE)

    def _begin(self, attempt: Attempt) -> None:
        self._handling += 1
        attempt.begin()
        self._deadlines.watch(attempt)

    def _be_patient(self) -> None:
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(PATIENCE, self._lose_patience, self._ahead[0])

    def _lose_patience(self, first: Attempt) -> None:
        self._patience = None
        if self._ahead and self._ahead[0] is first:
            self.look_ahead.reset()
            self.hand_back()
        elif self._ahead:
            self._be_patient()
