"""Hear when keys change, by Redis's own account of what a connection has read (client-side caching).

Works whoever changes them, Go included, and leaves nothing in Redis. One connection reads, the other is told:
the protocol that has both in one, RESP3, is not what our connections speak.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from asynq_py.broker.faults import translated, unreachable
from asynq_py.connection import Connector

CHANNEL: Final = "__redis__:invalidate"
PING_EVERY: Final = 5.0  # seconds of silence before we ask whether the connection still lives
ANSWER: Final = 5.0  # seconds to answer that


class KeyWatch:
    """Watches keys on one server; a Cluster has several, so there it watches none."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._reader: AbstractConnection | None = None
        self._turn = asyncio.Lock()

    @property
    def is_ready(self) -> bool:
        return self._reader is not None

    async def run(self, ready: Callable[[], object], changed: Callable[[str], object]) -> None:
        """Call `ready` when all keys are to be watched (anew), and `changed` with each that changes.

        Goes on until it is cancelled.

        Raises: BrokerUnavailableError: a connection is broken or silent. BrokerError: Redis refuses.
        """
        ears: AbstractConnection | None = None
        reader: AbstractConnection | None = None
        try:
            ears = await self._connector.connect("asynq-py:results")
            reader = await self._connector.connect("asynq-py:results")
            identity = await _ask(ears, "CLIENT", "ID")
            await _ask(ears, "SUBSCRIBE", CHANNEL)
            await _ask(reader, "CLIENT", "TRACKING", "ON", "REDIRECT", identity)
            self._reader = reader
            ready()
            while True:
                answer = await _next(ears)
                if self._reader is None:  # it broke meanwhile
                    raise ConnectionError("the reading connection is broken")
                match answer:
                    case [b"message", _, [*keys]]:
                        for key in keys:
                            changed(key.decode("utf-8", "replace"))
                    case [b"message", _, None]:  # all keys are gone
                        ready()
                    case _:  # an answer to our ping
                        pass
        except ResponseError as error:
            raise translated(error) from error
        except (RedisError, OSError, TimeoutError) as error:
            raise unreachable(self._connector, error) from error
        finally:
            self._reader = None
            for connection in (ears, reader):
                if connection is not None:
                    await connection.disconnect(nowait=True)

    async def state(self, key: str) -> bytes | None:
        """Read the field `state` of a task, and hear of the next change of the task.

        Raises: BrokerUnavailableError: the watch does not run, or its connection broke. BrokerError.
        """
        async with self._turn:
            if self._reader is None:
                raise unreachable(self._connector, ConnectionError("no watch"))
            try:
                found: bytes | None = await _ask(self._reader, "HGET", key, "state")
            except ResponseError as error:
                raise translated(error) from error
            except (RedisError, OSError, TimeoutError) as error:
                self._reader = None
                raise unreachable(self._connector, error) from error
            except asyncio.CancelledError:  # half an answer may be on its way: nobody may read it as theirs
                self._reader = None
                raise
            return found


async def _ask(connection: AbstractConnection, *command: Any) -> Any:
    await connection.send_command(*command)
    async with asyncio.timeout(ANSWER):
        return await connection.read_response(disconnect_on_error=False)


async def _next(connection: AbstractConnection) -> Any:
    reading: asyncio.Future[Any] = asyncio.ensure_future(connection.read_response(disconnect_on_error=False))
    try:
        done, _ = await asyncio.wait([reading], timeout=PING_EVERY)
        if not done:
            await connection.send_command("PING")
            async with asyncio.timeout(ANSWER):
                await reading
        return reading.result()
    finally:
        reading.cancel()
