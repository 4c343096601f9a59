"""A lane: one connection, used by one task at a time, on which commands share round trips.

Callers await answers; when one of them is cancelled it gives up its answer, and the socket never hears of it.
So no connection is ever left with half a reply, and what became of a command is always known or known to be
unknown. Nothing is sent a second time here, except a script that Redis said it does not have.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from asynq_py.broker.faults import code, translated, unreachable
from asynq_py.connection import Place
from asynq_py.errors import AsynqError, BrokerUnavailableError
from asynq_py.outbox import Outbox

Argument: TypeAlias = "str | bytes | int | float"
Reply: TypeAlias = Any  # what hiredis makes of an answer: bytes, int, None, or lists of these

COMMANDS_AT_ONCE: Final = 128


@dataclass(frozen=True, slots=True)
class Command:
    """What to send; and what to send instead when Redis does not know the script."""

    arguments: tuple[Argument, ...]
    if_no_script: tuple[Argument, ...] | None = None


class Sender(ABC):
    """Sends commands to wherever they belong."""

    @abstractmethod
    def post(self, command: Command) -> asyncio.Future[Reply]:
        """Send a command with the next round trip; the future brings its reply.

        The future raises BrokerUnavailableError (whose `maybe_done` says whether Redis may have carried the
        command out) or BrokerError (Redis refused it).
        """

    async def ask(self, command: Command) -> Reply:
        """As `await post(command)`, but perhaps in the caller's own task.

        So its cancelation may cost the connection. Raises: as `post`.
        """
        return await self.post(command)

    @abstractmethod
    async def aclose(self) -> None:
        """Wait for what is under way, then close the connections. What is closed refuses commands."""

    async def call(self, *arguments: Argument) -> Reply:
        """Send a plain command and await its reply. Raises: as `post`."""
        return await self.post(Command(arguments))

    async def call_all(self, *commands: Command) -> list[Reply]:
        """Send commands together and await their replies; the first error is raised."""
        return await asyncio.gather(*map(self.post, commands))


class Lane(Sender):
    """Sends commands to one Redis in order, many per round trip.

    `timeout`: seconds for one exchange, connecting included.
    """

    def __init__(self, place: Place, *, role: str, timeout: float | None = None) -> None:
        self._place = place
        self._role = role
        self._name = f"asynq-py:{role}:{os.getpid()}"
        self._timeout = timeout or place.timeout
        self._connection: AbstractConnection | None = None
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._outbox: Outbox[tuple[bytes, Command], Reply] = Outbox(self._exchange, limit=COMMANDS_AT_ONCE)
        self._closed = False

    def post(self, command: Command) -> asyncio.Future[Reply]:
        self._check_home()
        # packed here, so that an argument that cannot be sent is its caller's error alone
        return self._outbox.put((packed(command.arguments), command))

    async def ask(self, command: Command) -> Reply:
        self._check_home()
        return await self._outbox.now((packed(command.arguments), command))

    async def aclose(self) -> None:
        self._closed = True
        await self._outbox.drain()
        await self._disconnect()

    def _check_home(self) -> None:
        if self._closed:
            raise AsynqError(f"this {self._role} is closed; make another one")
        here = (os.getpid(), asyncio.get_running_loop())
        if self._home is None:
            self._home = here
        elif self._home != here:
            raise AsynqError(
                "a client or server belongs to the process and event loop that first used it; "
                "make another one here"
            )

    async def _exchange(self, batch: list[tuple[bytes, Command]]) -> Sequence[Reply | Exception]:
        replies: list[Reply | Exception] = []
        connection: AbstractConnection | None = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connected()
                await self._converse(connection, batch, replies)
        except (RedisError, OSError, TimeoutError) as error:
            await self._disconnect()
            if connection is None:  # so nothing was sent
                raise unreachable(self._place, error) from error
        except BaseException:
            await self._disconnect()  # torn down: leave nothing half-read behind
            raise
        if any(isinstance(reply, ResponseError) and code(reply) == "READONLY" for reply in replies):
            await self._disconnect()  # a demoted master: the next exchange looks for the new one
        unanswered = len(batch) - len(replies)
        return [
            *map(translated, replies),
            *(BrokerUnavailableError("Redis did not answer", maybe_done=True) for _ in range(unanswered)),
        ]

    async def _converse(
        self,
        connection: AbstractConnection,
        batch: list[tuple[bytes, Command]],
        replies: list[Reply | Exception],
    ) -> None:
        await self._send_and_read(connection, [command for command, _ in batch], replies)
        await self._send_bodies(connection, batch, replies)

    async def _send_and_read(
        self, connection: AbstractConnection, commands: list[bytes], replies: list[Reply | Exception]
    ) -> None:
        await connection.send_packed_command(commands, check_health=False)
        for _ in commands:  # one by one: what was read before the connection breaks counts
            replies.append(await _read(connection))  # noqa: PERF401

    async def _send_bodies(
        self,
        connection: AbstractConnection,
        batch: list[tuple[bytes, Command]],
        replies: list[Reply | Exception],
    ) -> None:
        """Send scripts whole that Redis did not know. Sending, then calling by hash, would be two steps."""
        for place, reply in enumerate(replies):
            body = batch[place][1].if_no_script
            if isinstance(reply, NoScriptError) and body is not None:
                answer: list[Reply | Exception] = []
                replies[place] = BrokerUnavailableError("Redis did not answer", maybe_done=True)
                await self._send_and_read(connection, [packed(body)], answer)
                replies[place] = answer[0]

    async def _connected(self) -> AbstractConnection:
        connection = self._connection
        if connection is not None and await _is_clean(connection) and await self._place.keeps(connection):
            return connection
        await self._disconnect()
        self._connection = await self._place.connect(self._name)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


def packed(arguments: tuple[Argument, ...]) -> bytes:
    """Make a command what Redis reads. Raises: TypeError: an argument cannot be sent."""
    return cast(bytes, hiredis.pack_command(cast(Any, arguments)))


async def _read(connection: AbstractConnection) -> Reply | RedisError:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except (ResponseError, AuthenticationError, BusyLoadingError) as error:
        return error  # an answer, though a refusal: the connection is in order


async def _is_clean(connection: AbstractConnection) -> bool:
    """Neither closed by the server while idle, nor holding a reply that nobody asked for."""
    try:
        return connection.is_connected and not await connection.can_read()
    except (RedisError, OSError):
        return False
