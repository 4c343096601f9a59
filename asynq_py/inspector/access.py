"""Access: what all parts of the Inspector share: its connection, and whether a queue exists."""

from __future__ import annotations

from collections.abc import Sized
from types import TracebackType
from typing import Self, TypeVar

from asynq_py.broker.broker import Broker
from asynq_py.broker.inspection import Inspection
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.registry import Registry
from asynq_py.clock import Clock, check_clock
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import QueueNotFoundError

Found = TypeVar("Found", bound=Sized)


class Access:
    """One lane, and what is asked on it. Connects at the first call."""

    def __init__(self, redis: RedisSource = None, *, clock: Clock | None = None) -> None:
        self._clock = check_clock(clock)
        self._connector = Connector(redis)
        self._lane = open_lane(self._connector, role="inspector")
        self._broker = Broker(self._lane, self._clock)
        self._inspection = Inspection(self._lane, self._clock)
        self._registry = Registry(self._lane)

    async def aclose(self) -> None:
        """Close the connection. Idempotent."""
        await self._lane.aclose()
        await self._connector.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _check_queue(self, queue: str) -> None:
        if not await self._registry.has_queue(queue):
            raise QueueNotFoundError(queue)

    async def _existing(self, queue: str, found: Found) -> Found:
        """Nothing found is an answer only where there is such a queue."""
        if not len(found):
            await self._check_queue(queue)
        return found
