"""Word that is left with a running task, for who runs it. Reliability F59, Q-42."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from asynq_py.broker.inspection import Inspection
from asynq_py.broker.lanes import open_lane
from asynq_py.connection import Connector
from tests.clock import ManualClock
from tests.state import Hash, dump, kept, lease, seed, state


@pytest.fixture
async def inspection(redis_url: str, clock: ManualClock) -> AsyncGenerator[Inspection]:
    connector = Connector(redis_url)
    lane = open_lane(connector, role="test")
    yield Inspection(lane, clock)
    await lane.aclose()
    await connector.aclose()


async def test_a_wish_is_for_the_try_that_runs_and_for_none_after_it(
    broker: Broker, inspection: Inspection, redis: Redis
) -> None:
    await seed(redis, before := state(active=[kept("a", lease(7)), kept("b", lease(999_999))]))
    tries = [Owned("a", 7), Owned("b", 999_999), Owned("gone", 7)]
    assert await broker.asked_to_cancel("q", tries) == [False, False, False]

    assert await inspection.ask_to_cancel("q", "a") is True
    assert await broker.asked_to_cancel("q", tries) == [True, False, False]
    assert await broker.asked_to_cancel("q", [Owned("a", 8)]) == [False]  # whoever takes it later
    assert await inspection.ask_to_cancel("q", "b") is True
    assert await broker.asked_to_cancel("q", tries) == [True, True, False]

    assert await redis.hdel("asynq:{q}:t:a", "cancel") == 1
    assert await redis.hdel("asynq:{q}:t:b", "cancel") == 1
    assert await dump(redis) == before


async def test_with_a_task_that_does_not_run_no_word_is_left(inspection: Inspection, redis: Redis) -> None:
    await seed(redis, before := state(pending=[kept("a")]) | {"asynq:{odd}:lease": "no sorted set"})

    assert await inspection.ask_to_cancel("q", "a") is False
    assert await inspection.ask_to_cancel("q", "gone") is False
    assert await inspection.ask_to_cancel("odd", "a") is False
    assert await dump(redis) == before


async def test_a_lease_without_a_task_gets_no_hash(inspection: Inspection, redis: Redis) -> None:
    await seed(redis, before := {"asynq:{q}:lease": {"a": 4e9}, "asynq:{q}:t:other": Hash(msg=b"x")})

    assert await inspection.ask_to_cancel("q", "a") is False
    assert await dump(redis) == before


async def test_a_key_of_another_type_is_no_wish(broker: Broker, redis: Redis) -> None:
    await seed(redis, {"asynq:{q}:t:odd": "no hash", "asynq:{q}:t:a": Hash(msg=b"x", cancel="7")})

    assert await broker.asked_to_cancel("q", [Owned("odd", 7), Owned("a", 7)]) == [False, True]
