"""Processor: free slots → that many messages → one attempt each. Behaviour 5."""

from __future__ import annotations

import asyncio
import logging

import anyio

from asynq_py.active_task import CancelReason
from asynq_py.broker.broker import Broker, Fetched, Owned
from asynq_py.errors import MessageDecodeError
from asynq_py.server.attempt import Attempt
from asynq_py.server.config import ServerConfig
from asynq_py.server.fetcher import Fetcher, Request
from asynq_py.server.inflight import InFlight
from asynq_py.server.notifier import Notifier
from asynq_py.server.outage import Backoff, Outage
from asynq_py.server.outcome import Archive, Requeue
from asynq_py.server.slots import Slots
from asynq_py.server.suspects import Suspects
from asynq_py.server.syncer import Syncer
from asynq_py.tracebacks import one_line
from asynq_py.wire import limits
from asynq_py.wire.messages import TaskMessage, clip, decode_task, failed, stand_in

logger = logging.getLogger(__name__)


class Processor:
    """Fetches tasks and runs them until told to end; then sees the running ones out.

    `broker` is for fetching.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        broker: Broker,
        slots: Slots,
        syncer: Syncer,
        inflight: InFlight,
        notifier: Notifier,
        outage: Outage,
    ) -> None:
        self._config = config
        self._slots = slots
        self._syncer = syncer
        self._inflight = inflight
        self._notifier = notifier
        self._outage = outage
        self._fetcher = Fetcher(broker, config, outage, self._accept)
        self._suspects = Suspects(slots, syncer, inflight, config.clock)
        self._backoff = Backoff()
        self._is_stopped = self._is_ending = self._is_hurried = False

    def stop(self) -> None:
        """Fetch no more. Running tasks go on; those that wait for a slot are handed back."""
        self._is_stopped = True
        self._slots.hand_back()
        self._suspects.hand_back()
        self._slots.changed.set()
        self._notifier.wake()

    def end(self) -> None:
        """Fetch no more, and end when the running tasks have ended or the shutdown timeout is over."""
        self._is_ending = True
        self.stop()

    def hurry(self) -> None:
        """End without waiting for the running tasks."""
        self._is_hurried = True
        self.end()

    async def run(self) -> None:
        """Work until `end()`. Returns when no handler runs any more, or those that do were left behind."""
        grace = self._config.cancel_grace
        self._slots.open()
        try:
            while not self._is_stopped:
                await self._work()
            while not self._is_ending:
                await self._slots.change()
            await self._see_out()
            grace = 0.0  # they have had it
        finally:
            self.stop()  # if the whole server is cancelled, nobody has told us: begin nothing more
            self._slots.close()
            with anyio.CancelScope(shield=True):
                await self._slots.tear_down(grace)
                await self._fetcher.return_unanswered()

    # -- fetching ---------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """One round: fetch what is wanted, or wait for something to change."""
        wanted = self._slots.wanted()
        if not wanted:
            await self._slots.change()
        elif await self.fetch_once(wanted):
            self._backoff.reset()
        elif self._outage.is_away and not self._is_stopped:
            with anyio.move_on_after(self._backoff.next()):
                await self._slots.change()
        elif not self._is_stopped:
            await self._notifier.wait(self._fetcher.unwatched)

    async def fetch_once(self, most: int) -> int:
        """Take up to `most` tasks and start them. Returns how many."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        taken = await self._fetcher.fetch(most)
        now = loop.time()
        self._slots.look_ahead.fetched(now - asked_at, now)
        return taken

    def _accept(self, queue: str, fetched: Fetched, request: Request) -> None:
        owned = Owned(fetched.id, request.token)
        try:
            message = decode_task(fetched.message, queue=queue, task_id=fetched.id)
        except MessageDecodeError as error:
            self._set_aside(queue, fetched, request, error)
            return
        attempt = self._attempt(message, owned, fetched, request)
        self._inflight.add(attempt)
        if self._is_stopped:  # it was on its way when we were told
            self._syncer.put(attempt, Requeue(owned))
        elif fetched.crashes >= limits.POISON_LIMIT:
            reason = f"{fetched.crashes} workers died on this task"
            logger.error("archived task %s in %r: %s", one_line(fetched.id), queue, reason)
            self._syncer.put(attempt, self._archived(message, owned, reason))
        elif Suspects.has(fetched.crashes):
            self._suspects.accept(attempt)
        else:
            self._slots.accept(attempt)

    def _attempt(self, message: TaskMessage, owned: Owned, fetched: Fetched, request: Request) -> Attempt:
        return Attempt(
            self._slots.around,
            message,
            owned,
            crashes=fetched.crashes,
            pending_since=fetched.pending_since,
            taken_at=request.asked_at,
            valid_until=request.valid_until,
        )

    def _set_aside(self, queue: str, fetched: Fetched, request: Request, error: MessageDecodeError) -> None:
        """Archive what cannot be read, its bytes as payload: it stays in sight, and runs nowhere."""
        logger.error("archived: %s", error)
        task_id = clip(fetched.id)
        owned = Owned(fetched.id.encode("utf-8", "surrogateescape"), request.token)
        message = stand_in(fetched.message, queue=queue, task_id=task_id)
        attempt = self._attempt(message, owned, fetched, request)
        self._inflight.add(attempt)
        self._syncer.put(attempt, self._archived(message, owned, str(error)))

    def _archived(self, message: TaskMessage, owned: Owned, reason: str) -> Archive:
        now = self._config.clock.time()
        return Archive(owned, failed(message, error=reason, now=now, counted=False))

    # -- ending -----------------------------------------------------------------------------------------

    async def _see_out(self) -> None:
        """Wait for the handlers, cancel those that take too long, and wait for these to take notice."""
        with anyio.move_on_after(self._config.shutdown_timeout):
            while not self._slots.is_idle and not self._is_hurried:
                await self._slots.change()
        if self._slots.is_idle:
            return
        logger.warning(
            "cancelling %d tasks that are still running, to hand them back", self._slots.running_count
        )
        self._slots.cancel(CancelReason.SHUTDOWN)
        with anyio.move_on_after(self._config.cancel_grace):
            while not self._slots.is_idle:
                await self._slots.change()
