"""What this process is called in lists of servers and schedulers."""

from __future__ import annotations

import os
import socket
from uuid import uuid4


def identity() -> str:
    """A new name, host:pid:uuid. Wire format 2.3."""
    return f"{host_name()}:{os.getpid()}:{uuid4()}"


def host_name() -> str:
    try:
        return socket.gethostname() or "unknown-host"
    except OSError:
        return "unknown-host"
