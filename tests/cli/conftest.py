"""The program, and a Redis that is filled."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Server
from tests.cli.filled import filled_by
from tests.cli.program import Program
from tests.proxy import Proxy
from tests.servers import master_url


@pytest.fixture
def bare(tmp_path: Path) -> Program:
    """The program in a folder of its own, which knows of no Redis."""
    return Program(tmp_path)


@pytest.fixture
def run(tmp_path: Path, redis_url: str) -> Program:
    """The program that has the Redis of the test in its environment."""
    return Program(tmp_path, {"ASYNQ_REDIS_URL": redis_url})


@pytest.fixture
async def filled(redis_url: str, client: Client, redis: Redis) -> AsyncGenerator[Server]:
    async with filled_by(client, redis, redis_url) as server:
        yield server


@pytest.fixture
async def proxy(redis_url: str, server_kind: str) -> AsyncGenerator[Proxy]:
    """Stands before the server and breaks what it is told to."""
    if server_kind == "cluster":
        pytest.skip("a proxy stands before one server, and a Cluster's nodes send everybody around it")
    async with Proxy(master_url(redis_url)) as proxy:
        yield proxy
