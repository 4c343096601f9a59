"""Listen to the cancelation channel, on a connection of its own. Wire format 6."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final, cast

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from asynq_py.broker.faults import translated, unreachable
from asynq_py.connection import Connector
from asynq_py.wire.keys import CANCEL_CHANNEL

PING_EVERY: Final = 5.0  # seconds of silence before we ask whether the connection still lives
ANSWER: Final = 5.0  # seconds to answer that; the driver's own reader would wait for ever


async def cancelations(connector: Connector) -> AsyncGenerator[str | None]:
    """Subscribe; yield None once that is done, and then the ID of each task that shall be cancelled.

    What is published while nobody listens is lost (Q-42). Use within `contextlib.aclosing`.

    Raises: BrokerUnavailableError: the connection is broken or silent. BrokerError: Redis refuses.
    """
    connection: AbstractConnection | None = None
    try:
        connection = await connector.connect("asynq-py:subscriber")
        await connection.send_command("SUBSCRIBE", CANCEL_CHANNEL)
        while True:
            reply = await _next(connection)
            if reply[0] == b"subscribe":
                yield None
            elif reply[0] == b"message":
                yield reply[2].decode("utf-8", "replace")
    except ResponseError as error:
        raise translated(error) from error
    except (RedisError, OSError, TimeoutError) as error:
        raise unreachable(connector, error) from error
    finally:
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _next(connection: AbstractConnection) -> list[bytes]:
    reading: asyncio.Future[Any] = asyncio.ensure_future(connection.read_response(disconnect_on_error=False))
    try:
        done, _ = await asyncio.wait([reading], timeout=PING_EVERY)
        if not done:
            await connection.send_command("PING")
            async with asyncio.timeout(ANSWER):
                await reading
        return cast("list[bytes]", reading.result())
    finally:
        reading.cancel()
