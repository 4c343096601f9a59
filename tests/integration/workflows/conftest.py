"""An app whose servers look after flows often."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import pytest

from asynq_py import App, Server

Serve = Callable[[], Server]


@pytest.fixture
async def app(redis_url: str) -> AsyncGenerator[App]:
    async with App(redis_url) as app:
        yield app


@pytest.fixture
def serve(app: App) -> Serve:
    """Make a server that loses no time."""

    def serve() -> Server:
        return app.server(
            poll_interval=0.05,
            forward_interval=0.05,
            retry_delay=lambda n, error, task: 0.0,
            cancel_grace=5.0,
        )

    return serve
