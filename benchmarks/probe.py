"""What a process sees of itself and of its Redis: clocks, memory, commands. Standard library only."""

from __future__ import annotations

import os
import resource
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.adapter import Answer


@dataclass(frozen=True)
class Moment:
    """One look. Times are in seconds."""

    at: float
    cpu: float
    redis_cpu: float
    commands: int


class Probe:
    """Asks Redis on a connection of its own; a question holds the caller up for less than a millisecond."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection(
            (parts.hostname or "127.0.0.1", parts.port or 6379), timeout=10
        )
        self._reader = self._socket.makefile("rb")

    def look(self) -> Moment:
        cpu = self._info("cpu")
        commands = sum(
            _calls(stat) for name, stat in self._info("commandstats").items() if name != "cmdstat_info"
        )
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Moment(
            at=time.perf_counter(),
            cpu=used.ru_utime + used.ru_stime,
            redis_cpu=float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]),
            commands=commands,
        )

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def _info(self, section: str) -> dict[str, str]:
        self._socket.sendall(f"INFO {section}\r\n".encode())
        length = int(self._reader.readline()[1:])
        text = self._reader.read(length + 2).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def rss() -> int:
    """Bytes of memory that this process holds now; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def between(
    first: Moment,
    last: Moment,
    tasks: int,
    *,
    samples: list[float] | None = None,
    marks: list[float] | None = None,
) -> Answer:
    """What two looks tell."""
    return Answer(
        tasks=tasks,
        seconds=last.at - first.at,
        cpu=last.cpu - first.cpu,
        redis_cpu=last.redis_cpu - first.redis_cpu,
        commands=last.commands - first.commands,
        rss=rss(),
        samples=samples or [],
        marks=marks or [],
    )


def _calls(stat: str) -> int:
    return int(dict(part.split("=") for part in stat.split(","))["calls"])
