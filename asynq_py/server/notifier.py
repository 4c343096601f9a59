"""Says at once that a queue has work, whoever pushed it; polling is the fallback.

Where Redis cannot wake us (before 6.2, no rights, a broken connection), and for paused queues, whose watch
would return at once for ever, the wait is short and the caller looks for itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection
from typing import Final

import anyio

from asynq_py.broker.watch import Watch
from asynq_py.connection import Connector
from asynq_py.errors import BrokerError, BrokerUnavailableError
from asynq_py.server.outage import Backoff

logger = logging.getLogger(__name__)

SHORTEST: Final = 0.01  # seconds between polls, however short they are wanted
SAFETY: Final = 10  # polls left out where Redis wakes us


class Notifier:
    """One watching connection per queue. Waits are the processor's alone.

    `poll`: seconds between looks where nothing wakes us.
    """

    def __init__(self, connector: Connector, queues: Collection[str], *, poll: float) -> None:
        self._poll = poll
        self._wake = asyncio.Event()
        self._sentries = {queue: _Sentry(connector, queue, self._wake) for queue in queues}

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            for sentry in self._sentries.values():
                group.start_soon(sentry.run)

    def wake(self) -> None:
        """End the present wait."""
        self._wake.set()

    async def wait(self, unwatched: Collection[str]) -> None:
        """Wait until a queue that was found empty may have tasks, or until it is time to look anyway."""
        # Cleared before the sentries are armed: an armed one looks for itself, so no push is missed.
        self._wake.clear()
        seconds = max(self._poll, SHORTEST) * random.uniform(0.5, 1.5)
        watched = [sentry for queue, sentry in self._sentries.items() if queue not in unwatched]
        if len(watched) == len(self._sentries) and all(sentry.works for sentry in watched):
            seconds = max(seconds * SAFETY, 1.0)
        for sentry in watched:
            sentry.armed.set()
        with anyio.move_on_after(seconds):
            await self._wake.wait()


class _Sentry:
    """Watches one queue whenever it is armed."""

    def __init__(self, connector: Connector, queue: str, wake: asyncio.Event) -> None:
        self._queue = queue
        self._watch = Watch(connector, queue)
        self._wake = wake
        self.armed = asyncio.Event()
        self.works = False

    async def run(self) -> None:
        try:
            await self._stand()
        finally:
            self.works = False
            with anyio.CancelScope(shield=True):
                await self._watch.aclose()

    async def _stand(self) -> None:
        backoff = Backoff()
        while True:
            await self.armed.wait()
            try:
                has_work = await self._watch.has_work()
            except BrokerUnavailableError:
                self.works = False
                await anyio.sleep(backoff.next())
                continue
            except BrokerError as error:
                logger.info("queue %r is polled, as it cannot be watched: %s", self._queue, error)
                return
            self.works = True
            backoff.reset()
            if has_work:
                self.armed.clear()
                self._wake.set()
