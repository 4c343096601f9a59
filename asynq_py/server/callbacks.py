"""The user's callbacks around a failed try. What goes wrong in them is logged, and never costs a task."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable

from asynq_py.active_task import ActiveTask
from asynq_py.retry import default_retry_delay
from asynq_py.server.config import ServerConfig
from asynq_py.server.outcome import Rules
from asynq_py.tracebacks import writable

logger = logging.getLogger(__name__)
logger.addFilter(writable)

# SystemExit and KeyboardInterrupt would end the whole process
_ERRORS = (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError)


async def tell(
    config: ServerConfig, active: ActiveTask, error: BaseException, *, is_torn_down: Callable[[], bool]
) -> None:
    """Call the error handler, if there is one. Raises: CancelledError: the whole server is cancelled."""
    handler = config.error_handler
    if handler is None:
        return
    try:
        answer = handler(active, error)
        if inspect.isawaitable(answer):
            await answer
    except _ERRORS as failure:
        if isinstance(failure, asyncio.CancelledError) and is_torn_down():
            raise
        logger.exception("the error handler failed on %s", active)


def rules(config: ServerConfig, active: ActiveTask) -> Rules:
    """What the user decides about failures of this task; where that goes wrong, the defaults do."""

    def retry_delay(n: int, error: BaseException) -> float:
        try:
            delay = config.retry_delay(n, error, active)
            return delay if isinstance(delay, int | float) else delay.total_seconds()
        except _ERRORS:
            logger.exception("retry_delay failed on %s; the default is used", active)
            return default_retry_delay(n, error, active)

    def is_failure(error: BaseException) -> bool:
        try:
            return bool(config.is_failure(error))
        except _ERRORS:
            logger.exception("is_failure failed on %s; it counts as a failure", active)
            return True

    return Rules(retry_delay, lambda n, error: default_retry_delay(n, error, active), is_failure)
