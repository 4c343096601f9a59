"""Running a server in a test.

Where a test asks for `clock`, time stands still in 2100, for the reason that tests.state.NOW tells.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, Unpack
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from asynq_py import Handler, Inspector, Server, ServerOptions
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.servers import each_server
from tests.state import NOW


class WorkUntil(Protocol):
    async def __call__(self, wanted: Books, handler: Handler, **options: Unpack[ServerOptions]) -> None: ...


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def work_until(redis_url: str, redis: Redis) -> WorkUntil:
    """Run a server until the books of the default queue are so, end it, and see that they still are."""

    async def work_until(wanted: Books, handler: Handler, **options: Unpack[ServerOptions]) -> None:
        async with Server(redis_url, handler, **options):
            await books_become(redis, wanted)
        assert await books(redis) == wanted

    return work_until


@pytest.fixture
async def inspector(redis_url: str) -> AsyncGenerator[Inspector]:
    async with Inspector(redis_url) as inspector:
        yield inspector


@pytest.fixture
def subscribed(redis: Redis) -> Callable[[], Awaitable[object]]:
    """Wait until exactly one server listens for cancelations."""

    async def count() -> int:
        async with each_server(redis) as servers:
            return sum([(await server.pubsub_numsub("asynq:cancel"))[0][1] for server in servers])

    return lambda: eventually(count, lambda listening: listening == 1)


class LoginWith(Protocol):
    async def __call__(self, *rules: str) -> str: ...


@pytest.fixture
async def login_with(redis: Redis, redis_url: str) -> AsyncGenerator[LoginWith]:
    """Make a Redis user of the given rights, and a URL that logs in as that user."""

    async def login_with(*rules: str) -> str:
        async with each_server(redis) as servers:
            for server in servers:
                await server.acl_setuser(
                    "tester",
                    enabled=True,
                    passwords=["+secret"],
                    keys=["*"],
                    channels=["*"],
                    commands=rules,
                    reset=True,
                )
        parts = urlsplit(redis_url)
        return urlunsplit(parts._replace(netloc=f"tester:secret@{parts.netloc}"))

    yield login_with
    async with each_server(redis) as servers:
        for server in servers:
            await server.acl_deluser("tester")
