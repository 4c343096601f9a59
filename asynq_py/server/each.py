"""The same step for every queue, at the same time; a queue that is not in order harms no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from asynq_py.errors import BrokerError

logger = logging.getLogger(__name__)


async def each(queues: Collection[str], step: Callable[[str], Awaitable[None]]) -> None:
    """Raises: BrokerUnavailableError, after all steps have ended."""

    async def alone(queue: str) -> None:
        try:
            await step(queue)
        except BrokerError as error:
            logger.error("queue %r: %s", queue, error)

    results = await asyncio.gather(*map(alone, queues), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
