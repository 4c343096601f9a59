"""The ledger: what producers, handlers and the nemesis saw, in files that no kill can take back.

Each process writes a file of its own, a line an event, appended with one write.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


def now() -> float:
    """Seconds, the same in all processes of the machine; time that it sleeps counts."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Entry:
    """`who`: the process that wrote it, as in "worker-0.3": the third in its place. `id`: of the task."""

    at: float
    who: str
    event: str
    id: str = ""
    detail: str = ""


class Ledger:
    """The file of one process. Safe in threads."""

    def __init__(self, folder: Path, who: str) -> None:
        self._file = os.open(folder / who, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, event: str, task_id: str = "", detail: str = "", *, at: float | None = None) -> None:
        """`at`: when it happened, if that is not now."""
        os.write(self._file, f"{now() if at is None else at:.6f}\t{event}\t{task_id}\t{detail}\n".encode())

    def close(self) -> None:
        os.close(self._file)


def read(folder: Path) -> list[Entry]:
    """All that was written by anybody, in the order of time."""
    entries = []
    for path in folder.iterdir():
        for line in path.read_text("utf-8").splitlines():
            at, event, task_id, detail = line.split("\t")
            entries.append(Entry(float(at), path.name, event, task_id, detail))
    return sorted(entries, key=lambda entry: entry.at)
