"""A proxy between a test and a real server that breaks things where it is told to.

It tells requests and replies apart (RESP 2), so a fault strikes an exact request, not a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import Self, TypeVar
from urllib.parse import urlsplit

from tests.relay import end, read, until_one_ends

_PING = b"*1\r\n$4\r\nPING\r\n"


@dataclass(eq=False)
class Fault:
    """What befalls one request. `happened`: the server has carried it out, or will never see it."""

    happened: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)


@dataclass(eq=False)
class Lose(Fault):
    """The connection breaks before the request reaches the server."""


@dataclass(eq=False)
class Cut(Fault):
    """The server carries the request out; the connection breaks after so many bytes of the reply."""

    after: int = 0


@dataclass(eq=False)
class Hold(Fault):
    """The server carries the request out; the reply waits for `release`."""

    release: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)


@dataclass(eq=False)
class Answer(Fault):
    """The server never sees the request; this reply comes instead."""

    reply: bytes


AnyFault = TypeVar("AnyFault", bound=Fault)


class Proxy:
    """Listens on a port of its own. `server`: the URL of the real one, redis:// or unix://.

    `requests`: all that was asked: command in upper case, then arguments. `is_refusing`: ends new
    connections at once. `connected`: how many are open.
    """

    def __init__(self, server: str) -> None:
        self._server = urlsplit(server)
        self._faults: list[tuple[bytes, Fault]] = []
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.requests: list[list[bytes]] = []
        self.is_refusing = False

    def inject(self, fault: AnyFault, *, at: bytes = b"EVALSHA", times: int = 1) -> AnyFault:
        """Let the fault strike the next requests of that command."""
        self._faults += [(at, fault)] * times
        return fault

    def forget_faults(self) -> None:
        """Let everything pass from now on."""
        self._faults.clear()

    def count(self, command: bytes) -> int:
        return sum(request[0] == command for request in self.requests)

    def cut_all(self) -> None:
        """Break every connection that is open."""
        for writer in self._clients.values():
            writer.transport.abort()

    @property
    def connected(self) -> int:
        return len(self._clients)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        await end(*self._clients)
        await self._listener.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.ensure_future(self._serve(reader, writer))
        self._clients[serving] = writer
        serving.add_done_callback(self._clients.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            if not self.is_refusing:
                await self._connect(reader, writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = self._server
        if place.scheme == "unix":
            replies, server = await asyncio.open_unix_connection(place.path)
        else:
            replies, server = await asyncio.open_connection(place.hostname, place.port)
        asked: deque[Fault | None] = deque()
        with contextlib.closing(server):
            await until_one_ends(self._forward(reader, server, asked), self._answer(replies, writer, asked))

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, asked: deque[Fault | None]
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                raw = await read(source)
                request = raw.split(b"\r\n")[2::2]  # good enough to know the command and its keys
                request[0] = request[0].upper()
                self.requests.append(request)
                struck = next((item for item in self._faults if item[0] == request[0]), (b"", None))
                if struck[1] is not None:
                    self._faults.remove((struck[0], struck[1]))
                if isinstance(struck[1], Lose):
                    return struck[1].happened.set()
                asked.append(struck[1])
                sink.write(_PING if isinstance(struck[1], Answer) else raw)

    async def _answer(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, asked: deque[Fault | None]
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                raw = await read(source)
                fault = asked.popleft() if asked else None
                if fault is not None:
                    fault.happened.set()
                match fault:
                    case Hold():
                        await fault.release.wait()
                    case Answer():
                        raw = fault.reply
                    case Cut():
                        return sink.write(raw[: fault.after])
                sink.write(raw)
