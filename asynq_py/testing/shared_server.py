"""The embedded server of this process, and its first database, which `embedded://` means, too."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Final

from asynq_py.embedded import EmbeddedServer
from asynq_py.errors import BrokerUnavailableError

TIMEOUT: Final = 10.0  # seconds


class SharedServer:
    """Starts with the first call, and lives as long as the process."""

    def __init__(self) -> None:
        self._server = EmbeddedServer(None)

    def empty(self) -> str:
        """Empty the database, and return its URL.

        Raises: AsynqError: the `embedded` extra is missing. BrokerUnavailableError: it does not start.
        """
        path = self._server.acquire()
        _flush(path)
        return f"unix://{path}?db=0"


def _flush(path: Path) -> None:
    """By hand: whoever has no event loop need not load a driver for one command."""
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(TIMEOUT)
        client.connect(str(path))
        client.sendall(b"FLUSHDB\r\n")
        answer = client.recv(64)
        if not answer.startswith(b"+OK"):
            raise BrokerUnavailableError(f"the embedded server does not empty its database: {answer!r}")
