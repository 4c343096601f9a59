"""What the end of a handler brings about, told before the server has written it. Behaviour 6.2."""

from __future__ import annotations

import asyncio
from typing import Final

from asynq_py import ActiveTask, CancelReason, RetryLater, RevokeTask, SkipRetry

CAUSES: Final = 16  # errors that are looked through for what a handler wishes, as a server does


def expected_outcome(task: ActiveTask, error: BaseException | None) -> str:
    """One of done, retried, archived, revoked, put_off, handed_back, lost."""
    reason = task.cancel_reason
    if reason is CancelReason.LEASE_LOST:
        return "lost"  # nothing is written: another worker runs it again
    if error is None:
        return "done"
    if not (reason is not None and isinstance(error, asyncio.CancelledError)):
        if _is(error, RevokeTask):
            return "revoked"
        if _is(error, RetryLater):
            return "put_off"
        if _is(error, SkipRetry):
            return "archived"
    if reason is CancelReason.SHUTDOWN:
        return "handed_back"
    return "archived" if task.retried >= task.max_retry else "retried"


def _is(error: BaseException, kind: type[BaseException]) -> bool:
    """Is it such an error, or was it raised from one?"""
    seen: BaseException | None = error
    for _ in range(CAUSES):
        if seen is None or isinstance(seen, kind):
            return seen is not None
        seen = seen.__cause__
    return False
