"""Says at once that a queue has work. Behind it Redis itself, so tasks pushed by Go wake us as well.

`BLMOVE pending pending RIGHT RIGHT` moves the next task onto its own place, that is, nothing; but it blocks
while the list is empty. Where that cannot be had (Redis before 6.2, no rights, a broken connection), and for
paused queues, where it would return at once for ever, the caller polls.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection
from typing import Final

import anyio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from asynq_py.connection import Connector
from asynq_py.server.outage import Backoff
from asynq_py.wire.keys import QueueKeys

logger = logging.getLogger(__name__)

BLOCK: Final = 5.0  # seconds one BLMOVE waits; an answer of "nothing" shows that the connection lives
ANSWER: Final = 3.0  # seconds after which an answer that is due will not come any more
SAFETY: Final = 10  # polls left out where Redis wakes us


class Notifier:
    """One watching connection per queue. Waits are the processor's alone.

    `poll`: seconds between looks where nothing wakes us.
    """

    def __init__(self, connector: Connector, queues: Collection[str], *, poll: float) -> None:
        self._connector = connector
        self._poll = poll
        self._wake = asyncio.Event()
        self._watches = {queue: _Watch(connector, queue, self._wake) for queue in queues}

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            for watch in self._watches.values():
                group.start_soon(watch.run)

    def wake(self) -> None:
        """End the present wait."""
        self._wake.set()

    async def wait(self, paused: Collection[str]) -> None:
        """Wait until a queue that was found empty may have tasks, or until it is time to look anyway."""
        # Cleared before the watches are armed: one that is armed looks for itself, so no push is missed.
        self._wake.clear()
        seconds = self._poll * random.uniform(0.5, 1.5)
        watched = [watch for queue, watch in self._watches.items() if queue not in paused]
        if len(watched) == len(self._watches) and all(watch.works for watch in watched):
            seconds *= SAFETY
        for watch in watched:
            watch.armed.set()
        with anyio.move_on_after(seconds):
            await self._wake.wait()


class _Watch:
    """Watches one queue whenever it is armed."""

    def __init__(self, connector: Connector, queue: str, wake: asyncio.Event) -> None:
        self._connector = connector
        self._queue = queue
        self._pending = QueueKeys(queue).pending
        self._wake = wake
        self._connection: AbstractConnection | None = None
        self.armed = asyncio.Event()
        self.works = False

    async def run(self) -> None:
        backoff = Backoff()
        try:
            while True:
                await self.armed.wait()
                try:
                    has_work = await self._look()
                except ResponseError as error:
                    logger.info("queue %r is polled, as Redis refuses BLMOVE: %s", self._queue, error)
                    return
                except (RedisError, OSError, TimeoutError):
                    await self._disconnect()
                    await anyio.sleep(backoff.next())
                    continue
                self.works = True
                backoff.reset()
                if has_work:
                    self.armed.clear()
                    self._wake.set()
        finally:
            with anyio.CancelScope(shield=True):
                await self._disconnect()

    async def _look(self) -> bool:
        if self._connection is None:
            self._connection = await self._connector.connect("asynq-py:notifier")
        await self._connection.send_command("BLMOVE", self._pending, self._pending, "RIGHT", "RIGHT", BLOCK)
        async with asyncio.timeout(BLOCK + ANSWER):
            return await self._connection.read_response() is not None

    async def _disconnect(self) -> None:
        self.works = False
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
