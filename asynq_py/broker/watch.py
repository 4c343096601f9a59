"""Wait for a queue to have tasks, on a connection of its own.

`BLMOVE pending pending RIGHT RIGHT` moves the next task onto its own place, that is, nothing; but it blocks
while the list is empty, and returns at once when anybody pushes, a Go client or a script included.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from asynq_py.broker.faults import translated, unreachable
from asynq_py.connection import Connector
from asynq_py.wire.keys import QueueKeys

BLOCK: Final = 5.0  # seconds one call waits; an answer of "nothing" shows that the connection lives
BLOCK_BRIEFLY: Final = 1.0  # the same where only Sentinel knows that it waits at an old master
ANSWER: Final = 3.0  # seconds after which an answer that is due will not come any more


class Watch:
    """Watches one queue for one caller at a time."""

    def __init__(self, connector: Connector, queue: str) -> None:
        self._connector = connector
        self._pending = QueueKeys(queue).pending
        self._connection: AbstractConnection | None = None

    async def has_work(self) -> bool:
        """Return True as soon as a task is pending, False after some seconds without one.

        A paused queue counts, too.

        May be cancelled: the connection is dropped then, and nothing else is lost.

        Raises: BrokerUnavailableError. BrokerError: BLMOVE is refused, or unknown (Redis before 6.2).
        """
        connection: AbstractConnection | None = None
        try:
            pending = self._pending
            seconds = min(BLOCK, BLOCK_BRIEFLY) if self._connector.is_watched else BLOCK
            if self._connection is not None and not await self._connector.keeps(self._connection):
                await self.aclose()
            connection = self._connection or await self._connector.connect("asynq-py:watch", key=pending)
            self._connection = None  # until it is known to be in order again
            await connection.send_command("BLMOVE", pending, pending, "RIGHT", "RIGHT", seconds)
            async with asyncio.timeout(seconds + ANSWER):
                found = await connection.read_response(disconnect_on_error=False) is not None
            self._connection, connection = connection, None
        except ResponseError as error:
            self._connector.distrust(error)  # moved, perhaps, or its master demoted
            raise translated(error) from error
        except (RedisError, OSError, TimeoutError) as error:
            self._connector.distrust(error)
            raise unreachable(self._connector, error) from error
        finally:
            if connection is not None:
                await connection.disconnect(nowait=True)
        return found

    async def aclose(self) -> None:
        """Close the connection. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
