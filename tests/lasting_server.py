"""A Redis or Valkey of a test's own that can be killed and brought back, with its data, on the same port."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from asynq_py.embedded.server import _binary as embedded_binary
from tests.ports import free_ports


class LastingServer:
    """Keeps every write in an append-only file in `folder` before it answers.

    `kind`: as in tests.servers; only what this machine runs as a process can be killed.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        found = embedded_binary() if kind == "embedded" else shutil.which("redis-server")
        assert found is not None
        self._program = found
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *(self._program, "--port", str(self.port), "--dir", str(self._folder), "--save", ""),
                *("--appendonly", "yes", "--appendfsync", "always", "--logfile", "log"),
            ]
        )
        with redis.Redis(port=self.port, retry=Retry(ConstantBackoff(0.02), 500)) as client:
            client.ping()
        assert self._process.poll() is None

    def kill(self) -> None:
        """End it on the spot."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Generator[None]:
        """It stands still, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.kill()
