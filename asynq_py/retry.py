"""When a failed task is tried again, and what counts as a failure: the defaults. Behaviour 6.3 and 7."""

from __future__ import annotations

import random

from asynq_py.active_task import ActiveTask


def default_retry_delay(n: int, error: BaseException, task: ActiveTask) -> float:
    """Seconds to wait after a failure, as in Go. `n`: failures counted before this one."""
    return float(n**4 + 15 + random.randint(0, 29) * (n + 1))


def default_is_failure(error: BaseException) -> bool:
    """Every error counts."""
    return True
