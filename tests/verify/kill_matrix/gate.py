"""A gate between one process and Redis, at which a fault strikes one call of one script."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from tests.relay import end, read, until_one_ends
from tests.verify.kill_matrix.cells import Fault, Point


@dataclass(eq=False)
class Strike:
    """`sha`: of the script. `ready`: awaited before a kill or freeze after the reply. `pid`: whom it strikes.

    `happened` is set by the gate; `is_over` by whoever lets a frozen process go on.
    """

    sha: bytes
    point: Point
    fault: Fault
    ready: Callable[[], Awaitable[object]]
    pid: int = 0
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Link:
    """One connection. `asked`: of each request under way, whether it is the one."""

    client: asyncio.StreamWriter
    asked: deque[bool] = field(default_factory=deque)
    is_silent: bool = False


class Gate:
    """Listens on a port of its own. `path`: the socket file of the real server. `database`: its number."""

    def __init__(self, path: str, database: int, strike: Strike) -> None:
        self._path = path
        self._database = database
        self._strike = strike
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/{self._database}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        await end(*self._serving)
        await self._listener.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies, server = await asyncio.open_unix_connection(self._path)
        link = _Link(writer)
        with contextlib.closing(writer), contextlib.closing(server):
            await until_one_ends(self._forward(reader, server, link), self._answer(replies, link))

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                raw = await read(source)
                is_it = not self._strike.happened.is_set() and self._strike.sha in raw[:120]
                if is_it and self._strike.point is Point.BEFORE_SEND and not await self._hit(link):
                    return
                if not link.is_silent:
                    link.asked.append(is_it)
                    sink.write(raw)

    async def _answer(self, source: asyncio.StreamReader, link: _Link) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                raw = await read(source)
                is_it = bool(link.asked) and link.asked.popleft() and not self._strike.happened.is_set()
                if is_it and self._strike.point is Point.AFTER_SEND and not await self._hit(link):
                    return
                if link.is_silent:
                    continue
                link.client.write(raw)
                if is_it and self._strike.point is Point.AFTER_REPLY and not await self._hit_later(link):
                    return

    async def _hit_later(self, link: _Link) -> bool:
        """Let the fault strike once the reply is known. A process is struck while its traffic goes on."""
        await link.client.drain()
        if self._strike.fault in (Fault.RESET, Fault.SILENCE):
            return await self._hit(link)
        hitting = asyncio.ensure_future(self._hit_when_ready(link))
        self._serving.add(hitting)
        hitting.add_done_callback(self._serving.discard)
        return True

    async def _hit_when_ready(self, link: _Link) -> None:
        await self._strike.ready()
        await self._hit(link)

    async def _hit(self, link: _Link) -> bool:
        """Let the fault strike. Returns whether the connection lives on."""
        strike = self._strike
        match strike.fault:
            case Fault.KILL:
                os.kill(strike.pid, signal.SIGKILL)
            case Fault.FREEZE:
                os.kill(strike.pid, signal.SIGSTOP)
            case Fault.RESET:
                _reset(link.client)
            case Fault.SILENCE:
                link.is_silent = True
        strike.happened.set()
        if strike.fault is Fault.FREEZE:
            await strike.is_over.wait()
        return strike.fault in (Fault.FREEZE, Fault.SILENCE)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by a reset, as a firewall or a dead host does."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
