"""Time stands still in 2100, for the reason that tests.state.NOW tells."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from asynq_py.broker.lane import Lane
from asynq_py.connection import Connector
from tests.clock import ManualClock
from tests.proxy import Proxy
from tests.state import NOW


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def connector(proxy: Proxy) -> AsyncGenerator[Connector]:
    """Knows the way through the proxy."""
    connector = Connector(proxy.url)
    yield connector
    await connector.aclose()


@pytest.fixture
async def lane(connector: Connector) -> AsyncGenerator[Lane]:
    """A lane through the proxy."""
    lane = Lane(connector, role="test", timeout=10)
    yield lane
    await lane.aclose()
