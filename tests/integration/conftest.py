"""What tests against a real server share."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.proxy import Proxy


@pytest.fixture
async def proxy(redis_url: str) -> AsyncGenerator[Proxy]:
    """Stands before the server and breaks what it is told to."""
    async with Proxy(redis_url) as proxy:
        yield proxy
