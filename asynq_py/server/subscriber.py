"""Subscriber: cancelation messages → running tries. Behaviour 11.3."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import anyio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from asynq_py.connection import Connector
from asynq_py.server.inflight import InFlight
from asynq_py.server.outage import Backoff
from asynq_py.wire.keys import CANCEL_CHANNEL

logger = logging.getLogger(__name__)

PING_EVERY = 5.0  # seconds of silence before we ask whether the connection still lives
ANSWER = 5.0  # seconds to answer that: the driver's own reader would wait for ever
REFUSED = 30.0  # seconds before another attempt where Redis denies the channel


class Subscriber:
    """Listens on a connection of its own, for ever; a broken one is replaced. What is published meanwhile is
    lost, as with Go (Q-42).
    """

    def __init__(self, connector: Connector, inflight: InFlight) -> None:
        self._connector = connector
        self._inflight = inflight
        self.subscribed = asyncio.Event()

    async def run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                connection = await self._connector.connect("asynq-py:subscriber")
            except (RedisError, OSError, TimeoutError):
                await anyio.sleep(backoff.next())
                continue
            try:
                await self._listen(connection, backoff)
            except ResponseError as error:
                logger.error("tasks cannot be cancelled from outside: %s", error)
                await anyio.sleep(REFUSED)
            except (RedisError, OSError, TimeoutError):
                await anyio.sleep(backoff.next())
            finally:
                self.subscribed.clear()
                with anyio.CancelScope(shield=True):
                    await connection.disconnect(nowait=True)

    async def _listen(self, connection: AbstractConnection, backoff: Backoff) -> None:
        await connection.send_command("SUBSCRIBE", CANCEL_CHANNEL)
        while True:
            reply = await self._next(connection)
            if reply[0] == b"subscribe":
                backoff.reset()
                self.subscribed.set()
            elif reply[0] == b"message":
                self._cancel(reply[2])

    async def _next(self, connection: AbstractConnection) -> list[bytes]:
        reading: asyncio.Future[Any] = asyncio.ensure_future(
            connection.read_response(disconnect_on_error=False)
        )
        try:
            done, _ = await asyncio.wait([reading], timeout=PING_EVERY)
            if not done:
                await connection.send_command("PING")
                async with asyncio.timeout(ANSWER):
                    await reading
            return cast("list[bytes]", reading.result())
        finally:
            reading.cancel()

    def _cancel(self, task_id: bytes) -> None:
        name = task_id.decode("utf-8", "replace")
        if self._inflight.cancel(name):
            logger.info("cancelling task %s, as asked", name)
