"""Record: what Redis keeps with a task beside its message: who tried it, when, and how that went."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Record:
    """`errors`: class and traceback, as text, of each try that failed. Instants in ISO 8601."""

    started_at: str | None = None
    last_attempted_at: str | None = None
    finished_at: str | None = None
    worker_ids: list[str] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    return_value: Any = None

    @classmethod
    def read(cls, data: bytes | None) -> Self:
        """None, or what somebody else has written: an empty one."""
        try:
            return cls(**json.loads(data or b"{}"))
        except (TypeError, ValueError):
            return cls()

    def write(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    def tried(self, worker_id: str, now: datetime) -> Self:
        at = now.isoformat()
        return replace(
            self,
            started_at=self.started_at or at,
            last_attempted_at=at,
            worker_ids=[*self.worker_ids, worker_id],
        )

    def failed(self, path: str, traceback: str, finished_at: datetime | None) -> Self:
        return replace(
            self,
            errors=[*self.errors, (path, traceback)],
            finished_at=finished_at.isoformat() if finished_at else None,
        )

    def succeeded(self, value: Any, now: datetime) -> Self:
        return replace(self, return_value=value, finished_at=now.isoformat())


def moment(text: str | None) -> datetime | None:
    """Read an instant."""
    return datetime.fromisoformat(text) if text else None
