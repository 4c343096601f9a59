"""Fetching when an answer was lost, and Redis then away for longer than a lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import NamedTuple

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Fetched
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.scripts import load
from asynq_py.connection import Connector
from asynq_py.outage import Outage
from asynq_py.server.config import ServerConfig
from asynq_py.server.fetcher import Fetcher, Request
from tests.clock import ManualClock
from tests.proxy import Cut, Hold, Lose, Proxy
from tests.state import dump, kept, new, seed, state

LEASE = 30.0
DEQUEUE, REQUEUE = (load(name).sha.encode() for name in ("dequeue", "requeue"))


class Taken(NamedTuple):
    """What a fetcher brought."""

    fetcher: Fetcher
    tasks: list[tuple[str, Fetched, Request]]


@pytest.fixture
async def taken(proxy: Proxy, clock: ManualClock) -> AsyncGenerator[Taken]:
    connector = Connector(proxy.url)
    lane = open_lane(connector, role="test")
    config = ServerConfig(queues={"q": 1}, lease=LEASE, clock=clock)
    tasks: list[tuple[str, Fetched, Request]] = []
    accept = lambda queue, task, request: tasks.append((queue, task, request))  # noqa: E731
    yield Taken(Fetcher(Broker(lane, clock), config, Outage("Redis"), accept), tasks)
    await lane.aclose()
    await connector.aclose()


async def test_what_a_lost_answer_took_is_asked_for_again(
    proxy: Proxy, taken: Taken, redis: Redis, broker: Broker
) -> None:
    await broker.enqueue("q", [new("a")])
    proxy.inject(Cut())

    assert await taken.fetcher.fetch(1) == 0
    assert await taken.fetcher.fetch(1) == 1

    assert [task.id for _, task, _ in taken.tasks] == ["a"]


@pytest.mark.parametrize("fault", [Cut(), Lose()], ids=["carried out", "never seen"])
async def test_after_an_outage_longer_than_a_lease_new_tasks_get_a_lease_of_their_own(
    proxy: Proxy, taken: Taken, redis: Redis, broker: Broker, clock: ManualClock, fault: Cut | Lose
) -> None:
    """That of the lost request is over: they would be cancelled here, and taken for a dead worker's."""
    proxy.inject(fault)
    assert await taken.fetcher.fetch(1) == 0
    clock.advance(2 * LEASE)
    await broker.enqueue("q", [new("a")])

    assert await taken.fetcher.fetch(1) == 1

    ((_, task, request),) = taken.tasks
    assert task.id == "a"
    assert request.valid_until > clock.monotonic()
    assert await redis.zscore("asynq:{q}:lease", "a") > clock.time()  # type: ignore[operator]


async def test_what_a_lost_answer_took_longer_than_a_lease_ago_is_handed_back_and_no_crash(
    proxy: Proxy, taken: Taken, redis: Redis, clock: ManualClock
) -> None:
    await seed(redis, state(pending=[kept("a")]))
    proxy.inject(Cut())
    assert await taken.fetcher.fetch(1) == 0
    clock.advance(2 * LEASE)

    assert await taken.fetcher.fetch(1) == 1

    ((_, task, request),) = taken.tasks
    assert (task.id, task.crashes) == ("a", 0)
    assert request.valid_until > clock.monotonic()
    left = await dump(redis)
    assert left["asynq:{q}:active"] == ["a"]
    assert left["asynq:{q}:lease"]["a"] > clock.time()


async def test_what_an_answer_brings_when_its_lease_is_over_is_taken_anew(
    proxy: Proxy, taken: Taken, redis: Redis, clock: ManualClock
) -> None:
    """The loop was blocked meanwhile. It would be cancelled as soon as it began, and run once more."""
    await seed(redis, state(pending=[kept("a")]))
    held = proxy.inject(Hold())
    fetching = asyncio.ensure_future(taken.fetcher.fetch(1))
    await held.happened.wait()
    clock.advance(2 * LEASE)
    held.release.set()

    assert await fetching == 1

    ((_, task, request),) = taken.tasks
    assert (task.id, task.crashes) == ("a", 0)
    assert request.valid_until > clock.monotonic()
    assert await redis.zscore("asynq:{q}:lease", "a") > clock.time()  # type: ignore[operator]


async def test_what_lost_answers_took_is_handed_back_together_in_the_end(
    proxy: Proxy, redis: Redis, broker: Broker, clock: ManualClock
) -> None:
    """If Redis does not answer then, a server waits for that once when it ends, and not for each queue."""
    for queue in "qr":
        await broker.enqueue(queue, [new(queue)])
    connector = Connector(proxy.url)
    lane = open_lane(connector, role="test")
    config = ServerConfig(queues={"q": 2, "r": 1}, strict_priority=True, clock=clock)
    fetcher = Fetcher(Broker(lane, clock), config, Outage("Redis"), lambda *_: None)
    proxy.inject(Cut(), times=2)
    assert await fetcher.fetch(1) == 0
    before = len(proxy.requests)

    await fetcher.return_unanswered()
    await lane.aclose()

    scripts = [request[1] for request in proxy.requests[before:] if request[0] == b"EVALSHA"]
    assert scripts == [DEQUEUE, DEQUEUE, REQUEUE, REQUEUE]
    for queue in "qr":
        assert await redis.lrange(f"asynq:{{{queue}}}:pending", 0, -1) == [queue.encode()]
