"""Subscriber: cancelation messages → running tries. Behaviour 11.3."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

import anyio

from asynq_py.broker.cancelations import cancelations
from asynq_py.connection import Connector
from asynq_py.errors import BrokerError, BrokerUnavailableError
from asynq_py.server.inflight import InFlight
from asynq_py.server.outage import Backoff
from asynq_py.tracebacks import one_line

logger = logging.getLogger(__name__)

REFUSED = 30.0  # seconds before another attempt where Redis denies the channel


class Subscriber:
    """Listens for ever; a broken connection is replaced.

    `subscribed`: set while messages arrive.
    """

    def __init__(self, connector: Connector, inflight: InFlight) -> None:
        self._connector = connector
        self._inflight = inflight
        self.subscribed = asyncio.Event()

    async def run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._listen(backoff)
            except BrokerUnavailableError:
                await anyio.sleep(backoff.next())
            except BrokerError as error:
                logger.error("tasks cannot be cancelled from outside: %s", error)
                await anyio.sleep(REFUSED)
            finally:
                self.subscribed.clear()

    async def _listen(self, backoff: Backoff) -> None:
        async with aclosing(cancelations(self._connector)) as messages:
            async for task_id in messages:
                if task_id is None:
                    backoff.reset()
                    self.subscribed.set()
                elif self._inflight.cancel(task_id):
                    logger.info("cancelling task %s, as asked", one_line(task_id))
