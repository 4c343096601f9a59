"""Processor: free slots → that many messages → one attempt each. Behaviour 5."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from asynq_py.active_task import CancelReason
from asynq_py.broker.broker import Broker, Fetched, Owned
from asynq_py.errors import BrokerError, BrokerUnavailableError, MessageDecodeError
from asynq_py.handler import AsyncHandler
from asynq_py.server.attempt import Attempt, Surroundings
from asynq_py.server.config import ServerConfig
from asynq_py.server.deadlines import Deadlines
from asynq_py.server.inflight import InFlight
from asynq_py.server.notifier import Notifier
from asynq_py.server.outage import Backoff, Outage
from asynq_py.server.outcome import Archive, Outcome, Requeue
from asynq_py.server.queues import QueueOrder
from asynq_py.server.syncer import Syncer
from asynq_py.server.threads import Threads
from asynq_py.wire import limits
from asynq_py.wire.messages import TaskMessage, clip, decode_task, failed, stand_in

logger = logging.getLogger(__name__)

FETCH_AT_ONCE = 200  # tasks one script takes: a longer one would be felt by other clients
TOKENS = 999_999


@dataclass(frozen=True, slots=True)
class Request:
    """One fetch from one queue, by which its tasks can be asked for again when the answer is lost.

    `expires_at`: of the leases, Unix seconds; `valid_until`: the same moment on the monotonic clock, at most.
    """

    count: int
    expires_at: int
    token: int
    valid_until: float


class Processor:
    """Fetches tasks and runs them until told to end; then sees the running ones out.

    `broker` is for fetching; `results` for what handlers write while they run.
    """

    def __init__(
        self,
        handler: AsyncHandler,
        config: ServerConfig,
        *,
        broker: Broker,
        results: Broker,
        syncer: Syncer,
        inflight: InFlight,
        notifier: Notifier,
        outage: Outage,
        threads: Threads,
    ) -> None:
        self._broker = broker
        self._config = config
        self._syncer = syncer
        self._inflight = inflight
        self._notifier = notifier
        self._outage = outage
        self._around = Surroundings(handler, config, config.clock, results, threads, self.report)
        self._deadlines = Deadlines(inflight, config.clock)
        self._order = QueueOrder(config.queues, strict=config.strict_priority)
        self._tokens = itertools.count(random.randrange(TOKENS))
        self._unanswered: dict[str, Request] = {}
        self._unwatched: set[str] = set()  # paused, or not in order: nothing can wake us for these
        self._backoff = Backoff()
        self._handling = 0
        self._changed = inflight.shrank  # also set when a handler ends, and when we are told to stop
        self._is_stopped = self._is_ending = self._is_hurried = False

    def stop(self) -> None:
        """Fetch no more. Running tasks go on."""
        self._is_stopped = True
        self._changed.set()
        self._notifier.wake()

    def end(self) -> None:
        """Fetch no more, and end when the running tasks have ended or the shutdown timeout is over."""
        self._is_ending = True
        self.stop()

    def hurry(self) -> None:
        """End without waiting for the running tasks."""
        self._is_hurried = True
        self.end()

    def report(self, attempt: Attempt, outcome: Outcome | None) -> None:
        """An attempt has ended; its slot is free."""
        self._handling -= 1
        self._changed.set()
        if outcome is None:
            self._inflight.remove(attempt)
        else:
            self._syncer.put(attempt, outcome)

    async def run(self) -> None:
        """Work until `end()`. Returns when no handler runs any more."""
        try:
            async with asyncio.TaskGroup() as tries:
                while not self._is_stopped:
                    await self._work(tries)
                while not self._is_ending:
                    await self._change()
                await self._see_out()
        finally:
            self._deadlines.close()
            with anyio.CancelScope(shield=True):
                await self._return_unanswered()

    # -- fetching ---------------------------------------------------------------------------------------

    async def _work(self, tries: asyncio.TaskGroup) -> None:
        """One round: fill the free slots, or wait for something to change."""
        free = self._free()
        if free == 0:
            await self._change()
        elif await self.fetch_once(free, tries):
            self._backoff.reset()
        elif self._outage.is_away and not self._is_stopped:
            with anyio.move_on_after(self._backoff.next()):
                await self._change()
        elif not self._is_stopped:
            await self._notifier.wait(self._unwatched)

    def _free(self) -> int:
        """Slots to fill now. A task whose outcome only waits to be written holds none, within bounds."""
        concurrency = self._config.concurrency
        unwritten = len(self._inflight) - self._handling
        room = FETCH_AT_ONCE + concurrency - unwritten
        return max(0, min(concurrency - self._handling, room, FETCH_AT_ONCE))

    async def fetch_once(self, free: int, tries: asyncio.TaskGroup) -> int:
        """Take up to `free` tasks from the queues, by their order, and start them. Returns how many."""
        taken = 0
        empty: set[str] = set()
        self._unwatched.clear()
        while taken < free and (shares := self._order.share(free - taken, empty)):
            if len(shares) == 1:  # the usual case, without the price of a task
                counts: Sequence[int] = [await self._fetch(*shares[0], tries)]
            else:
                counts = await asyncio.gather(*(self._fetch(*share, tries) for share in shares))
            empty.update(queue for (queue, asked), got in zip(shares, counts, strict=True) if got < asked)
            taken += sum(counts)
        return taken

    async def _fetch(self, queue: str, count: int, tries: asyncio.TaskGroup) -> int:
        """Take tasks from one queue and start them. What goes wrong here harms this queue alone."""
        lost = self._unanswered.pop(queue, None)
        request = lost or self._request(count)
        try:
            tasks = await self._broker.dequeue(
                queue,
                request.count,
                expires_at=request.expires_at,
                token=request.token,
                repeated=lost is not None,
            )
        except BrokerUnavailableError as error:
            self._outage.noticed(error)
            if error.maybe_done or lost:
                self._unanswered[queue] = request
            return 0
        except BrokerError as error:
            logger.error("queue %r cannot be fetched: %s", queue, error)
            self._unwatched.add(queue)
            return 0
        except asyncio.CancelledError:
            self._unanswered[queue] = request
            raise
        self._outage.over()
        if tasks is None:
            self._unwatched.add(queue)
            return 0
        for fetched in tasks:
            self._start(queue, fetched, request, tries)
        return len(tasks)

    def _request(self, count: int) -> Request:
        clock, lease = self._config.clock, self._config.lease
        return Request(
            count,
            expires_at=int(clock.time() + lease),
            token=next(self._tokens) % TOKENS + 1,
            valid_until=clock.monotonic() + lease - 1.0,  # Redis knows whole seconds only
        )

    def _start(self, queue: str, fetched: Fetched, request: Request, tries: asyncio.TaskGroup) -> None:
        owned = Owned(fetched.id, request.token)
        try:
            message = decode_task(fetched.message, queue=queue, task_id=fetched.id)
        except MessageDecodeError as error:
            self._set_aside(queue, fetched, request, error)
            return
        attempt = Attempt(self._around, message, owned, fetched.crashes, request.valid_until)
        self._inflight.add(attempt)
        if self._is_stopped:  # it was on its way when we were told
            self._syncer.put(attempt, Requeue(owned))
        elif fetched.crashes >= limits.POISON_LIMIT:
            reason = f"{fetched.crashes} workers died on this task"
            logger.error("archived task %s in %r: %s", fetched.id, queue, reason)
            self._syncer.put(attempt, self._archived(message, owned, reason))
        else:
            self._handling += 1
            attempt.task = tries.create_task(attempt.run())
            self._deadlines.watch(attempt)

    def _set_aside(self, queue: str, fetched: Fetched, request: Request, error: MessageDecodeError) -> None:
        """Archive what cannot be read, its bytes as payload: it stays in sight, and runs nowhere."""
        logger.error("archived: %s", error)
        task_id = clip(fetched.id)
        owned = Owned(fetched.id.encode("utf-8", "surrogateescape"), request.token)
        message = stand_in(fetched.message, queue=queue, task_id=task_id)
        attempt = Attempt(self._around, message, owned, fetched.crashes, request.valid_until)
        self._inflight.add(attempt)
        self._syncer.put(attempt, self._archived(message, owned, str(error)))

    def _archived(self, message: TaskMessage, owned: Owned, reason: str) -> Archive:
        now = self._config.clock.time()
        return Archive(owned, failed(message, error=reason, now=now, counted=False))

    # -- ending -----------------------------------------------------------------------------------------

    async def _see_out(self) -> None:
        """Wait for the handlers, cancel those that take too long, and wait for these to take notice."""
        with anyio.move_on_after(self._config.shutdown_timeout):
            while self._handling and not self._is_hurried:
                await self._change()
        if not self._handling:
            return
        logger.warning("cancelling %d tasks that are still running, to hand them back", self._handling)
        for attempt in self._inflight:
            attempt.cancel(CancelReason.SHUTDOWN)
        with anyio.move_on_after(self._config.cancel_grace):
            while self._handling:
                await self._change()
        for attempt in self._inflight:
            if attempt.is_running:
                logger.error("the handler of task %s (%s) does not end", attempt.id, attempt.message.type)

    async def _change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def _return_unanswered(self) -> None:
        """Hand back what fetches took whose answers never reached us."""
        for queue, request in self._unanswered.items():
            try:
                taken = await self._broker.dequeue(
                    queue, 0, expires_at=request.expires_at, token=request.token, repeated=True
                )
                await self._broker.requeue(queue, [Owned(task.id, request.token) for task in taken or ()])
            except (BrokerUnavailableError, BrokerError) as error:
                logger.warning(
                    "queue %r: tasks fetched last come back when their leases end: %s", queue, error
                )
        self._unanswered.clear()
