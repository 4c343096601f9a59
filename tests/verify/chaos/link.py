"""A link between one client and Redis that can be slow, cut, or lose what was said.

It passes bytes and knows nothing of them, except which of them call a script: whose reply is lost must hurt.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from typing import Final, Self

AT_ONCE: Final = 1 << 16


class Link:
    """Listens on `port`, passes on to `server_port`. `delay`: each read waits up to so many seconds.

    While `is_parted` nothing passes, and nothing is lost: as on a network that is mended, it all arrives
    late.
    """

    def __init__(self, server_port: int, seed: int) -> None:
        self._server_port = server_port
        self._random = random.Random(seed)
        self._open: set[Passage] = set()
        self._whole = asyncio.Event()
        self._whole.set()
        self._cuts: list[int] = []
        self.delay = 0.0

    @property
    def is_parted(self) -> bool:
        return not self._whole.is_set()

    def part(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def cut_reply(self, after: int) -> None:
        """Break the connection on which the next script is answered, after so many bytes of the reply."""
        self._cuts.append(after)

    def forget_cuts(self) -> None:
        self._cuts.clear()

    def reset(self) -> None:
        """Break all connections, without a goodbye."""
        for passage in tuple(self._open):
            passage.abort()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.mend()
        self.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await self._whole.wait()
            try:
                replies, server = await asyncio.open_connection("127.0.0.1", self._server_port)
            except OSError:
                return
            passage = Passage(reader, writer, replies, server)
            self._open.add(passage)
            try:
                await passage.run(self)
            finally:
                self._open.discard(passage)
                server.close()

    async def hindrance(self) -> None:
        """What every read has to wait for."""
        if self.delay:
            await asyncio.sleep(self._random.uniform(0, self.delay))
        await self._whole.wait()

    def take_cut(self) -> int | None:
        return self._cuts.pop(0) if self._cuts else None


class Passage:
    """One connection of a client, and the one to the server behind it."""

    def __init__(
        self,
        requests: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        replies: asyncio.StreamReader,
        server: asyncio.StreamWriter,
    ) -> None:
        self._requests = requests
        self._client = client
        self._replies = replies
        self._server = server
        self._has_asked = False

    async def run(self, link: Link) -> None:
        """Pass on until both sides have ended."""
        ways = [asyncio.ensure_future(way) for way in (self._ask(link), self._answer(link))]
        try:
            # what a client said before it went away still arrives
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(ways, timeout=0.05 if ways[0].done() else 0)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def abort(self) -> None:
        for writer in (self._client, self._server):
            raw = writer.get_extra_info("socket")
            if raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _ask(self, link: Link) -> None:
        with contextlib.suppress(OSError):
            while data := await self._requests.read(AT_ONCE):
                await link.hindrance()
                self._has_asked = self._has_asked or b"EVAL" in data
                self._server.write(data)

    async def _answer(self, link: Link) -> None:
        with contextlib.suppress(OSError):
            while data := await self._replies.read(AT_ONCE):
                await link.hindrance()
                cut = link.take_cut() if self._has_asked else None
                self._has_asked = False
                if cut is not None:
                    if cut:
                        self._client.write(data[:cut])
                        await self._client.drain()
                    return self.abort()
                self._client.write(data)
