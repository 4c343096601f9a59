"""Time stands still in 2100, for the reason that tests.state.NOW tells."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from asynq_py.broker.gates import Gates
from asynq_py.broker.lane import Lane
from asynq_py.broker.lanes import open_lane
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


@pytest.fixture
async def gates(redis_url: str, clock: ManualClock) -> AsyncGenerator[Gates]:
    connector = Connector(redis_url)
    lane = open_lane(connector, role="test")
    yield Gates(lane, clock)
    await lane.aclose()
    await connector.aclose()
