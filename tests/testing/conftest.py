"""The embedded server of this process, started once: it outlives the tests that use it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from asynq_py.embedded import EmbeddedServer


@pytest.fixture(scope="session", autouse=True)
def embedded_server() -> Generator[None]:
    server = EmbeddedServer(None)
    server.acquire()
    yield
    server.release()
