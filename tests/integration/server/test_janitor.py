"""Completed tasks are forgotten when their retention is over. Behaviour 11.6."""

from __future__ import annotations

from redis.asyncio import Redis

from asynq_py import ActiveTask, Server
from asynq_py.broker.broker import Broker
from asynq_py.server.janitor import Janitor
from asynq_py.server.outage import Outage
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.state import NOW, kept, seed, state


async def test_what_has_expired_goes_from_all_queues_in_as_many_steps_as_it_takes(
    broker: Broker, redis: Redis
) -> None:
    old, new = [kept(f"old {n}", NOW - n) for n in range(25)], kept("new", NOW + 1)
    for queue in ("q", "r"):
        await seed(redis, state(queue, completed=[*old, new], archived=[kept("z", NOW - 9)]))
    janitor = Janitor(broker, Outage("here"), ["q", "r"], interval=8.0, batch=10)

    await janitor.clean_once()

    for queue in ("q", "r"):
        assert await books(redis, queue) == Books(completed={"new"}, archived={"z"})


async def test_a_server_forgets_completed_tasks_in_time(
    redis_url: str, redis: Redis, clock: ManualClock
) -> None:
    async def handler(task: ActiveTask) -> None:
        pass

    await seed(redis, state("default", completed=[kept("a", NOW + 60), kept("b", NOW + 120)]))
    async with Server(redis_url, handler, clock=clock, janitor_interval=0.05):
        clock.advance(60)
        await books_become(redis, Books(completed={"b"}))
