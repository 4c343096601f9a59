"""A lane of a test's own, for whatever works on one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asynq_py.broker.lane import Sender
from asynq_py.broker.lanes import open_lane
from asynq_py.connection import Connector


@asynccontextmanager
async def lane_to(url: str) -> AsyncGenerator[Sender]:
    connector = Connector(url)
    lane = open_lane(connector, role="test")
    yield lane
    await lane.aclose()
    await connector.aclose()
