"""Ports of this machine for tests, of which several processes run at once.

They are taken from below the range out of which systems give ports by themselves: so nobody who asks for any
port, and no connection on its way out, takes one between the moment it is found and the moment it is used.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Final

_RANGE: Final = range(10_000, 32_000)  # Linux gives out 32768 and above, others 49152 and above
_chance = random.SystemRandom()  # a seed that tests set must not make two processes choose alike


def free_ports(count: int) -> list[int]:
    """Find ports for servers that are started next."""
    with ExitStack() as held:
        return [_port(held.enter_context(_bound())) for _ in range(count)]


@contextmanager
def closed_port() -> Generator[int]:
    """Hold a port where connections are refused: nobody else can listen there meanwhile."""
    with _bound() as probe:
        yield _port(probe)


def _bound() -> socket.socket:
    while True:
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", _chance.choice(_RANGE)))
        except OSError:
            probe.close()
        else:
            return probe


def _port(probe: socket.socket) -> int:
    port: int = probe.getsockname()[1]
    return port
