"""Which server the tests run against, and what every test may ask for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from asynq_py import Client, Inspector
from asynq_py.broker.broker import Broker
from asynq_py.broker.groups import Groups
from tests.clock import ManualClock
from tests.interop.build import describe as describe_go_peers
from tests.lanes import lane_to
from tests.servers import KINDS, plain_client, running, why_absent

pytest_plugins = ["tests.leaks"]

# The same examples each time, however slow the machine is; `make verify-fuzz` looks for new ones.
settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--redis",
        default="embedded",
        choices=(*KINDS, "all"),
        help="the server to test against; all: each that this machine can run (default: embedded)",
    )


def _kinds(config: pytest.Config) -> list[str]:
    wanted = str(config.getoption("--redis"))
    return list(KINDS) if wanted == "all" else [wanted]


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [*(f"server: {kind}{_absence(kind)}" for kind in _kinds(config)), describe_go_peers()]


def _absence(kind: str) -> str:
    why = why_absent(kind)
    return f" (skipped: {why})" if why else ""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "redis_url" in metafunc.fixturenames:
        kinds = _kinds(metafunc.config)
        metafunc.parametrize("server_kind", kinds, indirect=True, scope="session", ids=kinds)


@pytest.fixture(scope="session")
def server_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    why = why_absent(kind)
    if why:
        pytest.skip(why)
    return kind


@pytest.fixture(scope="session")
def server_url(server_kind: str) -> Generator[str]:
    with running(server_kind) as url:
        yield url


@pytest.fixture
async def redis_url(server_kind: str, server_url: str) -> str:
    """The URL of a real server, empty."""
    async with plain_client(server_url) as client:
        await client.flushall()
    return server_url


@pytest.fixture
def one_server(redis_url: str, server_kind: str) -> str:
    """The URL, if all keys live in one server."""
    if server_kind == "cluster":
        pytest.skip("of one server, not of a Cluster")
    return redis_url


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    """A plain client of the same server, to seed and to look."""
    async with plain_client(redis_url) as client:
        yield cast(Redis, client)  # a RedisCluster does the same in all that we use


@pytest.fixture
async def client(redis_url: str) -> AsyncGenerator[Client]:
    async with Client(redis_url) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def broker(redis_url: str, clock: ManualClock) -> AsyncGenerator[Broker]:
    """A broker whose time stands still until the test moves it."""
    async with lane_to(redis_url) as lane:
        yield Broker(lane, clock)


@pytest.fixture
async def inspector(redis_url: str, clock: ManualClock) -> AsyncGenerator[Inspector]:
    """Its time, too, stands still until the test moves it."""
    async with Inspector(redis_url, clock=clock) as inspector:
        yield inspector


@pytest.fixture
async def groups(redis_url: str, clock: ManualClock) -> AsyncGenerator[Groups]:
    """The same for groups."""
    async with lane_to(redis_url) as lane:
        yield Groups(lane, clock)
