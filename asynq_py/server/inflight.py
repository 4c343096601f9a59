"""The tries whose outcome is not yet written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from asynq_py.active_task import CancelReason
from asynq_py.server.attempt import Attempt


class InFlight:
    """Attempts by queue and ID: IDs are unique within a queue only (Q-24).

    `shrank`: set whenever one is removed; whoever waits for that clears it.
    """

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, str], Attempt] = {}
        self._displaced: set[Attempt] = set()  # they have been cancelled, but still run
        self.shrank = asyncio.Event()

    def __len__(self) -> int:
        return len(self._attempts)

    def __contains__(self, attempt: object) -> bool:
        return any(known is attempt for known in self)

    def __iter__(self) -> Iterator[Attempt]:
        return iter([*self._attempts.values(), *self._displaced])

    def add(self, attempt: Attempt) -> None:
        """Remember a try. An older one of the same task has lost its lease, or this one could not be here."""
        older = self._attempts.get(attempt.key)
        if older is not None:
            older.cancel(CancelReason.LEASE_LOST)
            if older.is_running:
                self._displaced.add(older)
        self._attempts[attempt.key] = attempt

    def remove(self, attempts: Iterable[Attempt]) -> None:
        """Forget tries; a newer one of the same task stays."""
        for attempt in attempts:
            if self._attempts.get(attempt.key) is attempt:
                del self._attempts[attempt.key]
            else:
                self._displaced.discard(attempt)
        self.shrank.set()

    def cancel(self, task_id: str) -> bool:
        """Cancel the tries of this ID, whatever their queue, as the channel names no queue (Q-42)."""
        found = [attempt for attempt in self if attempt.id == task_id]
        for attempt in found:
            attempt.cancel(CancelReason.CANCELLED)
        return bool(found)

    def drop_expired(self, now: float) -> None:
        """Cancel tries whose lease has ended by our own clock (`now`: monotonic)."""
        for attempt in self:
            if attempt.valid_until < now:
                attempt.cancel(CancelReason.LEASE_LOST)
