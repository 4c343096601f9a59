"""Databases of the embedded server: each rehearsal of a process has one of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio.to_thread

from asynq_py.embedded import EmbeddedServer
from asynq_py.errors import AsynqError

NUMBERS: Final = range(1, 16)  # the first is left to whoever says embedded://

_used: Final[set[int]] = set()


@asynccontextmanager
async def database() -> AsyncGenerator[str]:
    """Take one that nobody else has. The server starts with the first, and lives as long as the process.

    Raises: AsynqError: all are taken, or the `embedded` extra is missing. BrokerUnavailableError.
    """
    number = next((number for number in NUMBERS if number not in _used), None)
    if number is None:
        raise AsynqError(f"the embedded server has room for {len(NUMBERS)} rehearsals at a time")
    _used.add(number)
    server = EmbeddedServer(None)
    try:
        path = await anyio.to_thread.run_sync(server.acquire)
        yield f"unix://{path}?db={number}"
    finally:
        server.release()
        _used.discard(number)
