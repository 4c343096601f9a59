"""Slots: where tries run, `concurrency` at once; and a few tasks ahead that wait for the next free one."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from types import FrameType
from typing import Any, Final

from asynq_py.active_task import CancelReason
from asynq_py.broker.broker import Broker
from asynq_py.errors import ServerStateError
from asynq_py.handler import AsyncHandler
from asynq_py.server.attempt import Attempt, Surroundings
from asynq_py.server.config import OnStuck, ServerConfig
from asynq_py.server.deadlines import Deadlines
from asynq_py.server.inflight import InFlight
from asynq_py.server.lookahead import LookAhead
from asynq_py.server.outcome import Outcome, Requeue
from asynq_py.server.syncer import Syncer
from asynq_py.server.threads import Threads
from asynq_py.tracebacks import one_line

logger = logging.getLogger(__name__)

FETCH_AT_ONCE: Final = 1000  # tasks fetched in one round trip
AHEAD: Final = 200  # tasks taken ahead of free slots at the most
UNWRITTEN: Final = 200  # outcomes that may wait to be written, beside one for each slot
PATIENCE: Final = 0.1  # seconds a task waits for a slot here before another worker may have it

_EFFECTS: Final[Mapping[OnStuck, str]] = {
    "keep": "it keeps its slot and its lease",
    "release": "its slot is free, and it keeps its lease",
    "exit": "the server ends",
}


class Slots:
    """Runs tries as plain asyncio tasks. A task group would cost a callback for each, and here every one is
    known by its attempt, reports its end, and is waited for by the processor or in `tear_down`.

    `end`: gets the server to let tasks finish and to end. `failure`: why it had to: a stuck handler, or a bug
    of ours. `left`: handlers that did not end, and that nobody waits for any more.
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
        end: Callable[[], object],
    ) -> None:
        self._config = config
        self._end = end
        self._syncer = syncer
        self._inflight = inflight
        self._around = Surroundings(
            *(handler, config, config.clock, results, threads, self.report, self._note_stuck, end),
            is_torn_down=self._is_torn_down,
        )
        self._stuck: set[Attempt] = set()
        self._runner: asyncio.Task[Any] | None = None
        self._is_over = False
        self.failure: Exception | None = None
        self.left: list[asyncio.Task[None]] = []
        self._deadlines = Deadlines(inflight, config.clock)
        self._ahead: deque[Attempt] = deque()
        self._handling = 0
        self._patience: asyncio.TimerHandle | None = None
        self.look_ahead = LookAhead(min(config.concurrency, AHEAD))
        self.changed = inflight.shrank  # also set when a try has ended

    def open(self) -> None:
        """Tell the asyncio task that runs the server: its cancelation is that of all tries."""
        self._runner = asyncio.current_task()

    def _is_torn_down(self) -> bool:
        return self._is_over or (self._runner is not None and self._runner.cancelling() > 0)

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
        room = UNWRITTEN + concurrency - unwritten
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
        if not self._stuck or self._still_has_slot(attempt):
            self._free_slot()
        self.look_ahead.ended()
        self.changed.set()
        if outcome is None:
            self._inflight.remove([attempt])
        else:
            self._syncer.put(attempt, outcome)
        if bug is not None:
            self._fail(bug)

    def hand_back(self) -> None:
        """Let other workers have the tasks that wait for a slot."""
        while self._ahead:
            attempt = self._ahead.popleft()
            self._syncer.put(attempt, Requeue(attempt.owned))

    async def change(self) -> None:
        """Wait until a slot or room for outcomes is free, or somebody sets `changed`."""
        await self.changed.wait()
        self.changed.clear()

    def cancel(self, reason: CancelReason) -> None:
        """Cancel all running tries."""
        for attempt in self._inflight:
            attempt.cancel(reason)

    def time_out(self) -> None:
        """Time out tries whose deadline has come, for who moves the clock; else a timer does it."""
        self._deadlines.look_once()

    def close(self) -> None:
        """Stop the timers."""
        self._deadlines.close()
        if self._patience is not None:
            self._patience.cancel()

    async def tear_down(self, grace: float) -> None:
        """End tries that are left when the whole server is cancelled, and leave behind what does not end.

        `grace`: seconds they have for that.
        """
        self._is_over = True
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + grace
        try:
            while (tasks := self._tasks()) and loop.time() < give_up_at:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=min(PATIENCE, grace))
        finally:
            self._abandon()

    def _abandon(self) -> None:
        self.left = self._tasks()
        for attempt in self._inflight:
            if attempt.task is not None:
                logger.error(
                    "left behind %s, whose handler does not end: others get it when its lease is over",
                    _named(attempt),
                )
                attempt.abandon()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [attempt.task for attempt in self._inflight if attempt.task is not None]

    def _free_slot(self) -> None:
        self._handling -= 1
        if self._ahead:
            self._begin(self._ahead.popleft())

    def _note_stuck(self, attempt: Attempt) -> None:
        policy = self._config.on_stuck
        self._stuck.add(attempt)
        logger.error(
            "%s has not ended %g s after it was cancelled (%s); %s. Now %d are stuck. Stack:\n%s",
            _named(attempt),
            self._config.cancel_grace,
            attempt.cancel_reason,
            _EFFECTS[policy],
            len(self._stuck),
            _stack(attempt),
        )
        if policy == "keep":
            return
        self._free_slot()
        self.changed.set()
        if policy == "exit":
            self._fail(ServerStateError(f"{_named(attempt)} is stuck, and on_stuck is 'exit'"))

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self._end()

    def _still_has_slot(self, attempt: Attempt) -> bool:
        if attempt not in self._stuck:
            return True
        self._stuck.remove(attempt)
        logger.warning("%s has ended after all", _named(attempt))
        return self._config.on_stuck == "keep"

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


def _named(attempt: Attempt) -> str:
    return f"task {one_line(attempt.id)} ({one_line(attempt.message.type)}) in {attempt.queue!r}"


def _stack(attempt: Attempt) -> str:
    """Where a coroutine waits, from the outside in; asyncio itself tells of the outermost only."""
    frames: list[traceback.FrameSummary] = []
    waits: Any = attempt.task.get_coro() if attempt.task is not None else None
    while isinstance(waits, Coroutine):
        frame: FrameType | None = getattr(waits, "cr_frame", None)
        if frame is not None:
            frames += traceback.extract_stack(frame, limit=1)
        waits = getattr(waits, "cr_await", None)
    return "".join(traceback.format_list(frames))
