"""Fetcher: asks the queues for tasks, by their order. Behaviour 5.1, 5.3."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from asynq_py.broker.broker import Broker, Fetched, Owned
from asynq_py.errors import BrokerError, BrokerUnavailableError
from asynq_py.server.config import ServerConfig
from asynq_py.server.outage import Outage
from asynq_py.server.queues import QueueOrder

logger = logging.getLogger(__name__)

TOKENS: Final = 999_999
LONGEST_REFUSAL: Final = 30.0  # seconds until a queue is asked again that Redis refuses
AT_ONCE: Final = 200  # tasks one script takes: a longer one would be felt by other clients


@dataclass(frozen=True, slots=True)
class Request:
    """One fetch from one queue, by which its tasks can be asked for again when the answer is lost.

    `asked_at`: Unix seconds. `expires_at`: of the leases, Unix seconds; `valid_until`: the same moment on the
    monotonic clock, at most.
    """

    count: int
    asked_at: float
    expires_at: int
    token: int
    valid_until: float


class Refusal(NamedTuple):
    """`pause`: seconds. `until`: when it ends, by the event loop's clock."""

    pause: float
    until: float


Accept = Callable[[str, Fetched, Request], None]


class Fetcher:
    """`accept` gets each task taken: queue, task, and the request that brought it.

    `unwatched`: queues that nothing can wake us for, since they are paused or not in order.
    """

    def __init__(self, broker: Broker, config: ServerConfig, outage: Outage, accept: Accept) -> None:
        self._broker = broker
        self._clock = config.clock
        self._lease = config.lease
        self._outage = outage
        self._accept = accept
        self._order = QueueOrder(config.queues, strict=config.strict_priority)
        self._tokens = itertools.count(random.randrange(TOKENS))
        self._unanswered: dict[str, list[Request]] = {}
        self._refused: dict[str, Refusal] = {}
        self.unwatched: set[str] = set()

    async def fetch(self, most: int) -> int:
        """Take up to `most` tasks from the queues, by their order. Returns how many."""
        taken = 0
        now = asyncio.get_running_loop().time()
        empty = {queue for queue, refusal in self._refused.items() if now < refusal.until}
        self.unwatched.clear()
        self.unwatched |= empty
        while taken < most and (shares := _in_steps(self._order.share(most - taken, empty))):
            if len(shares) == 1:  # the usual case, without the price of a task
                counts: Sequence[int] = [await self._fetch(*shares[0], directly=True)]
            else:
                counts = await asyncio.gather(*(self._fetch(*share) for share in shares))
            empty.update(queue for (queue, asked), got in zip(shares, counts, strict=True) if got < asked)
            taken += sum(counts)
        return taken

    async def return_unanswered(self) -> None:
        """Hand back what fetches took whose answers never reached us."""
        lost = [(queue, request) for queue, requests in self._unanswered.items() for request in requests]
        self._unanswered.clear()
        # all at once: if Redis does not answer, it is waited for once and not for each
        await asyncio.gather(*(self._return(*item) for item in lost))

    async def _return(self, queue: str, request: Request) -> None:
        try:
            taken = await self._broker.dequeue(
                queue, 0, expires_at=request.expires_at, token=request.token, repeated=True
            )
            await self._broker.requeue(queue, [Owned(task.id, request.token) for task in taken or ()])
        except (BrokerUnavailableError, BrokerError) as error:
            logger.warning("queue %r: tasks fetched last come back when their leases end: %s", queue, error)

    async def _fetch(self, queue: str, count: int, *, directly: bool = False) -> int:
        """Take tasks from one queue. What goes wrong here harms this queue alone."""
        unanswered = self._unanswered.setdefault(queue, [])
        lost = unanswered.pop() if unanswered else None
        request = lost or self._request(count)
        try:
            tasks = await self._broker.dequeue(
                queue,
                0 if lost else request.count,
                expires_at=request.expires_at,
                token=request.token,
                repeated=lost is not None,
                directly=directly,
            )
            # the answer came when its leases were over: the loop was blocked, or Redis away
            is_late = bool(tasks) and request.valid_until <= self._clock.monotonic()
            if tasks and is_late:
                await self._broker.requeue(queue, [Owned(task.id, request.token) for task in tasks])
        except BrokerUnavailableError as error:
            self._outage.noticed(error)
            if error.maybe_done or lost:
                unanswered.append(request)
            return 0
        except BrokerError as error:
            self._leave_alone(queue, error)
            return 0
        except asyncio.CancelledError:
            unanswered.append(request)
            raise
        self._outage.over()
        if is_late or (lost and not tasks):
            # new tasks get a lease of their own: that of the lost request may be over
            return await self._fetch(queue, count, directly=directly)
        if self._refused:
            self._refused.pop(queue, None)
        if tasks is None:
            self.unwatched.add(queue)
            return 0
        for task in tasks:
            self._accept(queue, task, request)
        return len(tasks)

    def _leave_alone(self, queue: str, error: BrokerError) -> None:
        """Redis is there, but denies or refuses: ask again, though ever more rarely."""
        before = self._refused.get(queue)
        pause = min(2 * before.pause, LONGEST_REFUSAL) if before else 1.0
        self._refused[queue] = Refusal(pause, asyncio.get_running_loop().time() + pause)
        self.unwatched.add(queue)
        logger.error("queue %r cannot be fetched, again in %g s: %s", queue, pause, error)

    def _request(self, count: int) -> Request:
        now = self._clock.time()
        return Request(
            count,
            asked_at=now,
            expires_at=int(now + self._lease),
            token=next(self._tokens) % TOKENS + 1,
            valid_until=self._clock.monotonic() + self._lease - 1.0,  # Redis knows whole seconds only
        )


def _in_steps(shares: Sequence[tuple[str, int]]) -> Sequence[tuple[str, int]]:
    """Split large shares; all steps go out in one round trip, and other clients come in between them."""
    if all(count <= AT_ONCE for _, count in shares):
        return shares
    return [
        (queue, min(AT_ONCE, count - start)) for queue, count in shares for start in range(0, count, AT_ONCE)
    ]
