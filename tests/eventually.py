"""The one place where tests look again and again, for what only Redis or another process can tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.01


async def eventually(
    read: Callable[[], Awaitable[T]], holds: Callable[[T], bool] = bool, *, within: float = 20.0
) -> T:
    """Read until what is read will do, and return that."""
    give_up_at = time.monotonic() + within
    while not holds(seen := await read()):
        assert time.monotonic() < give_up_at, f"after {within} s it is still {seen!r}"
        await asyncio.sleep(PAUSE)
    return seen
