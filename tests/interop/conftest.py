"""Go peers, built once per session; without Go these tests are skipped with the reason."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.clock import ManualClock
from tests.interop.build import NEWEST, OLDEST, NoPeerError, binary
from tests.interop.peer import GoPeer


@pytest.fixture
def clock() -> ManualClock:
    """For the broker of a test: its time stands still, but at that of the Go processes."""
    return ManualClock(time.time())


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("go-peers")


def _peer(version: str, programs: Path, url: str) -> GoPeer:
    if version == OLDEST and url.startswith("redis-cluster:"):
        pytest.skip(
            f"asynq {OLDEST} has a Redis client that cannot read the cluster map of Redis 7 and later"
        )
    try:
        return GoPeer(version, binary(version, programs), url)
    except NoPeerError as why:
        pytest.skip(str(why))


@pytest.fixture
def go(programs: Path, redis_url: str) -> GoPeer:
    """The newest published version."""
    return _peer(NEWEST, programs, redis_url)


@pytest.fixture
def old_go(programs: Path, redis_url: str) -> GoPeer:
    """The oldest version whose wire format is ours."""
    return _peer(OLDEST, programs, redis_url)


@pytest.fixture(params=[NEWEST, OLDEST])
def any_go(request: pytest.FixtureRequest, programs: Path, redis_url: str) -> GoPeer:
    return _peer(request.param, programs, redis_url)
