"""How a try ended, in one line of the log. Never a payload, and never without end."""

from __future__ import annotations

import logging

from asynq_py.active_task import ActiveTask
from asynq_py.errors import RevokeTask
from asynq_py.server import outcome
from asynq_py.server.outcome import Outcome
from asynq_py.tracebacks import one_line, writable
from asynq_py.wire import limits

logger = logging.getLogger(__name__)
logger.addFilter(writable)

LONGEST = 500  # characters of an error's text


def lost(active: ActiveTask) -> None:
    logger.warning("lost the lease of %s; its outcome is not written", active)


def failed(active: ActiveTask, error: BaseException, ended: Outcome, now: float) -> None:
    text = _short(outcome.describe(error))
    match ended:
        case outcome.Retry() if outcome.is_wish(error):  # thousands may wait for a limit, and none is wrong
            logger.info("put off %s: %s; again in %d s", active, text, ended.retry_at - now)
        case outcome.Retry():
            logger.warning(
                "failed %s: %s; again in %d s", active, text, ended.retry_at - now, exc_info=_trace(error)
            )
        case outcome.Archive():
            logger.error("archived %s: %s", active, text, exc_info=_trace(error))
        case _:
            logger.info("revoked %s", active)


def _trace(error: BaseException) -> BaseException | None:
    """The error, if its traceback shall be logged: it quotes the whole text, which must not be endless."""
    is_long = len(outcome.describe(error)) > limits.ERROR_TEXT_LIMIT
    return None if is_long or error.__traceback__ is None or isinstance(error, RevokeTask) else error


def _short(text: str) -> str:
    """One line of bounded length, without what a terminal would obey."""
    clipped = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return one_line(clipped)
