"""The plugin for Litestar, by requests of its own test client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.testing import AsyncTestClient

from asynq_py import App, InvalidOptionError, Server
from asynq_py.integrations.litestar import AsynqPlugin, server_of


@pytest.fixture
def tasks(redis_url: str) -> App:
    return App(redis_url, retention=60)


async def test_a_worker_lives_as_long_as_the_application(tasks: App) -> None:
    servers: list[Server] = []

    @tasks.task
    async def double(n: int) -> int:
        return 2 * n

    @get("/double/{n:int}")
    async def ask(n: FromPath[int], state: State) -> int:
        server = server_of(state)
        assert server is not None
        servers.append(server)
        return await (await double.enqueue(n)).result(timeout=20)

    web = Litestar([ask], logging_config=None, plugins=[AsynqPlugin(tasks, worker={"poll_interval": 0.05})])
    async with AsyncTestClient(web) as browser:
        assert (await browser.get("/double/21")).json() == 42
        assert servers[0].state == "active"
    assert servers[0].state == "closed"


async def test_without_a_worker_handlers_only_enqueue(tasks: App) -> None:
    @tasks.task
    async def nothing() -> None: ...

    @get("/enqueue")
    async def enqueue(queue: NamedDependency[App], state: State) -> list[Any]:
        await nothing.enqueue()
        return [await queue.inspector.queues(), server_of(state)]

    web = Litestar([enqueue], logging_config=None, plugins=[AsynqPlugin(tasks, dependency="queue")])
    async with AsyncTestClient(web) as browser:
        assert (await browser.get("/enqueue")).json() == [["default"], None]


async def test_what_the_application_opens_itself_may_enqueue_until_it_is_closed(tasks: App) -> None:
    left: list[str] = []

    @tasks.task
    async def last() -> None: ...

    @asynccontextmanager
    async def own(application: Litestar) -> AsyncIterator[None]:
        yield
        left.append((await last.enqueue()).type)
        left.append(str(server_of(application.state)).split()[0])

    plugin = AsynqPlugin(tasks, worker={"poll_interval": 0.05})
    web = Litestar([], logging_config=None, lifespan=[own], plugins=[plugin])
    async with AsyncTestClient(web):
        pass
    assert left[0] == "last"


def test_mistakes_are_told_when_the_plugin_is_made(redis_url: str) -> None:
    nonsense: Any = redis_url
    with pytest.raises(InvalidOptionError, match="app="):
        AsynqPlugin(nonsense)
    with pytest.raises(InvalidOptionError, match="concurrency="):
        AsynqPlugin(App(redis_url), worker={"concurrency": 0})


def test_without_the_library_an_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['litestar'] = None; import asynq_py.integrations.litestar"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert 'pip install "asynq-py[litestar]"' in ended.stderr
