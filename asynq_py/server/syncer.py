"""Syncer: writes outcomes in batches, again if need be, for as long as the lease lasts.

Outcomes are data. One flush is on its way at a time; what arrives meanwhile goes out with the next, so a lone
outcome leaves at once and a crowd shares round trips.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import anyio

from asynq_py.broker.broker import Broker
from asynq_py.clock import Clock
from asynq_py.errors import BrokerError, BrokerUnavailableError
from asynq_py.server.attempt import Attempt
from asynq_py.server.outage import Backoff, Outage
from asynq_py.server.outcome import Outcome, Requeue
from asynq_py.server.settle import settle
from asynq_py.tracebacks import one_line
from asynq_py.wire import limits

logger = logging.getLogger(__name__)


class Unwritten(NamedTuple):
    """`maybe_written`: an earlier try to write it may have succeeded, although its answer was lost."""

    attempt: Attempt
    outcome: Outcome
    maybe_written: bool = False


class Syncer:
    """`settled` hears of the attempts that need no more writing. `patience`: seconds given to the last
    outcomes when the server ends.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        outage: Outage,
        *,
        settled: Callable[[Sequence[Attempt]], None],
        patience: float,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._outage = outage
        self._settled = settled
        self._patience = patience
        self._waiting: list[Unwritten] = []
        self._arrived = asyncio.Event()

    def put(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take charge of an outcome."""
        self._waiting.append(Unwritten(attempt, outcome))
        self._arrived.set()

    async def run(self) -> None:
        backoff = Backoff()
        try:
            while True:
                await self._arrived.wait()
                # A flush is never cut off half-way: its answers say what is still to be written.
                with anyio.CancelScope(shield=True):
                    if await self.flush_once():
                        backoff.reset()
                        continue
                await anyio.sleep(backoff.next())
        finally:
            with anyio.CancelScope(shield=True):
                await self._write_the_rest(backoff)

    async def flush_once(self) -> bool:
        """Write what is waiting. Returns False if Redis was away for some of it."""
        waiting, self._waiting = self._waiting, []
        self._arrived.clear()
        groups: dict[tuple[str, type[Outcome]], list[Unwritten]] = {}
        for item in waiting:
            groups.setdefault((item.attempt.queue, type(item.outcome)), []).append(item)
        calls = [
            (queue, batch)
            for (queue, _), items in groups.items()
            for batch in _batches(items, limits.SETTLE_BATCH)
        ]
        if len(calls) == 1:
            return await self._write(*calls[0])
        return all(await asyncio.gather(*(self._write(*call) for call in calls)))

    async def _write(self, queue: str, batch: list[Unwritten]) -> bool:
        try:
            answers = await settle(self._broker, queue, [item.outcome for item in batch])
        except BrokerUnavailableError as error:
            self._outage.noticed(error)
            self._keep(batch, maybe_written=error.maybe_done)
            return False
        except BrokerError as error:
            await self._write_singly(queue, batch, error)
            return True
        self._outage.over()
        if not all(answers):
            for item, is_ours in zip(batch, answers, strict=True):
                if not is_ours:
                    _tell_not_ours(item)
        self._settled([item.attempt for item in batch])
        return True

    async def _write_singly(self, queue: str, batch: list[Unwritten], error: BrokerError) -> None:
        """Find the one outcome that Redis refuses, so that it harms no other."""
        if len(batch) == 1:
            logger.error("%s cannot be written: %s", _described(batch[0]), error)
            self._settled([batch[0].attempt])
            return
        for item in batch:
            await self._write(queue, [item])

    def _keep(self, batch: list[Unwritten], *, maybe_written: bool) -> None:
        now = self._clock.monotonic()
        for item in batch:
            if item.attempt.valid_until >= now:
                self._waiting.append(item._replace(maybe_written=item.maybe_written or maybe_written))
                self._arrived.set()
            else:
                logger.error("%s is given up: its lease has ended", _described(item))
                self._settled([item.attempt])

    async def _write_the_rest(self, backoff: Backoff) -> None:
        give_up_at = self._clock.monotonic() + self._patience
        while self._waiting:
            if not await self.flush_once():
                if self._clock.monotonic() >= give_up_at:
                    break
                await anyio.sleep(backoff.next())
        for item in self._waiting:
            logger.error("%s is given up: Redis is away", _described(item))
            self._settled([item.attempt])


def _batches(items: list[Unwritten], size: int) -> list[list[Unwritten]]:
    if isinstance(items[0].outcome, Requeue):
        items.sort(key=lambda item: item.attempt.taken_at)  # first taken runs first again
    remaining = iter(items)
    return list(iter(lambda: list(islice(remaining, size)), []))


def _tell_not_ours(item: Unwritten) -> None:
    if item.maybe_written:
        logger.info("%s had been written already, or the task is no longer ours", _described(item))
    else:
        logger.warning("%s was not written: the task is no longer ours", _described(item))


def _described(item: Unwritten) -> str:
    attempt = item.attempt
    kind = type(item.outcome).__name__.lower()
    task_id, task_type = one_line(attempt.id), one_line(attempt.message.type)
    return f"outcome {kind!r} of task {task_id} ({task_type}) in {attempt.queue!r}"
