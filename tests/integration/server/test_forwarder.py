"""Scheduled and retried tasks become pending when their time has come. Behaviour 11.4."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.broker.broker import Broker
from asynq_py.server.forwarder import Forwarder
from asynq_py.server.outage import Outage
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.state import NOW, kept, seed, state


@pytest.fixture
def forwarder(broker: Broker, clock: ManualClock) -> Forwarder:
    return Forwarder(broker, clock, Outage("here"), ["q", "r"], interval=1.0)


async def test_what_is_due_moves_in_all_queues_and_nothing_else(
    forwarder: Forwarder, redis: Redis, clock: ManualClock
) -> None:
    for queue in ("q", "r"):
        scheduled, retry = [kept("a", NOW), kept("b", NOW + 1)], [kept("c", NOW - 5), kept("d", NOW + 9)]
        await seed(redis, state(queue, scheduled=scheduled, retry=retry))

    await forwarder.forward_once()
    for queue in ("q", "r"):
        assert await books(redis, queue) == Books(pending=("a", "c"), scheduled={"b"}, retry={"d"})

    clock.advance(1)
    await forwarder.forward_once()
    assert await books(redis, "q") == Books(pending=("a", "c", "b"), retry={"d"})


async def test_more_than_one_script_can_move_is_moved_in_steps(forwarder: Forwarder, redis: Redis) -> None:
    many = [f"{n:04}" for n in range(450)]
    await seed(redis, state(scheduled=[kept(task_id, NOW) for task_id in many]))

    await forwarder.forward_once()

    assert await books(redis, "q") == Books(pending=tuple(many))


async def test_a_queue_that_is_not_in_order_harms_no_other(forwarder: Forwarder, redis: Redis) -> None:
    await redis.set("asynq:{q}:scheduled", "text")
    await seed(redis, state("r", scheduled=[kept("a", NOW)]))

    await forwarder.forward_once()

    assert await books(redis, "r") == Books(pending=("a",))


async def test_a_server_runs_scheduled_tasks_whose_time_has_come(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock
) -> None:
    async def handler(task: ActiveTask) -> None:
        pass

    await seed(redis, state("default", scheduled=[kept("a", NOW + 60)], retry=[kept("b", NOW + 60)]))
    async with Server(redis_url, handler, clock=clock, forward_interval=0.05):
        await client.enqueue(Task("t"))
        await books_become(redis, Books(scheduled={"a"}, retry={"b"}, processed=1))
        clock.advance(60)
        await books_become(redis, Books(processed=3))
