"""Doing several things at once, but not too many: a look must not be felt by those who work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

AT_ONCE: Final = 4


async def gather(*work: Awaitable[T]) -> list[T]:
    """Await them all, some at a time, and raise the first error when all have ended."""
    places = asyncio.Semaphore(AT_ONCE)

    async def in_turn(one: Awaitable[T]) -> T:
        async with places:
            return await one

    results = await asyncio.gather(*map(in_turn, work), return_exceptions=True)
    found: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
