"""Ran: a try that ran in a rehearsal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from asynq_py.wire.state import TaskState


@dataclass(slots=True, kw_only=True, eq=False)
class Ran:
    """A try that ran. `at`: when it began. `error`: what it ended with, if it failed. `state`: of its task
    after it; None: the task is gone, so it is done, or revoked.
    """

    type: str
    id: str
    queue: str
    payload: bytes = field(repr=False)
    retried: int
    at: datetime
    error: BaseException | None = None
    state: TaskState | None = None
