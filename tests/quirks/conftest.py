"""Defects of asynq (Go) that we do not share. Wire format, section 13."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.clock import ManualClock
from tests.proxy import Proxy
from tests.servers import master_url
from tests.state import NOW


@pytest.fixture
def clock() -> ManualClock:
    """Time stands still in 2100, for the reason that NOW tells."""
    return ManualClock(NOW)


@pytest.fixture
async def proxy(redis_url: str, server_kind: str) -> AsyncGenerator[Proxy]:
    """Stands before the server and breaks what it is told to."""
    if server_kind == "cluster":
        pytest.skip("a proxy stands before one server, and a Cluster's nodes send everybody around it")
    async with Proxy(master_url(redis_url)) as proxy:
        yield proxy
