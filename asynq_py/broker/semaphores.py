"""The semaphores of Go's rate-limit extension (x/rate). Wire format 2.4.

All methods raise BrokerUnavailableError (see its `maybe_done`) and BrokerError.
"""

from __future__ import annotations

from typing import Final

from asynq_py.broker.lane import Sender
from asynq_py.broker.scripts import load
from asynq_py.clock import Clock
from asynq_py.wire import keys

_ACQUIRE_TOKEN: Final = load("acquire_token")


class Semaphores:
    def __init__(self, lane: Sender, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock

    async def acquire_token(self, scope: str, task_id: str, *, max_tokens: int, deadline: int) -> bool:
        """Take a token for a task until `deadline`, unix seconds. Returns False when all are taken."""
        arguments = (int(self._clock.time()), max_tokens, deadline, task_id)
        return bool(await self._lane.post(_ACQUIRE_TOKEN([keys.semaphore(scope)], arguments)))

    async def release_token(self, scope: str, task_id: str) -> bool:
        """Give a token back. Returns False when the task has none."""
        return bool(await self._lane.call("ZREM", keys.semaphore(scope), task_id))
