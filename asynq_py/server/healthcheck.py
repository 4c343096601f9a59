"""Pings Redis and tells the user's callback. Behaviour 11.8."""

from __future__ import annotations

import inspect
import logging

import anyio

from asynq_py.broker.broker import Broker
from asynq_py.errors import AsynqError
from asynq_py.server.config import HealthCheck
from asynq_py.tracebacks import writable

logger = logging.getLogger(__name__)
logger.addFilter(writable)


class HealthChecker:
    """`interval`: seconds between pings; the first comes after one interval."""

    def __init__(self, broker: Broker, callback: HealthCheck, *, interval: float) -> None:
        self._broker = broker
        self._callback = callback
        self._interval = interval

    async def run(self) -> None:
        while True:
            await anyio.sleep(self._interval)
            await self.check_once()

    async def check_once(self) -> None:
        try:
            await self._broker.ping()
        except AsynqError as error:
            await self._tell(error)
        else:
            await self._tell(None)

    async def _tell(self, error: Exception | None) -> None:
        try:
            answer = self._callback(error)
            if inspect.isawaitable(answer):
                await answer
        except Exception:
            logger.exception("the health check callback failed")
