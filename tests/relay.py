"""What stands between a client and a server: both ways at once, one request or reply (RESP 2) at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


async def read(source: asyncio.StreamReader) -> bytes:
    """Read one request or reply, as it is."""
    head = await source.readuntil(b"\r\n")
    kind, size = head[:1], int(head[1:]) if head[:1] in b"$*" else -1
    if kind == b"*":
        return head + b"".join([await read(source) for _ in range(size)])
    return head + await source.readexactly(size + 2) if size >= 0 else head


async def until_one_ends(*directions: Coroutine[None, None, None]) -> None:
    """Go both ways, until there is nothing more to be had from one of them."""
    going = [asyncio.ensure_future(direction) for direction in directions]
    try:
        await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*going)


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
