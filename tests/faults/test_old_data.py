"""Redis comes back with older data than it had: a failover to a replica that was behind. F49."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.broker.broker import Broker, Owned
from tests.books import Books, books, books_become
from tests.state import NOW, dump, kept, lease, message_of, seed, state

EXPIRY = int(NOW) + 30


ENDS: dict[str, Callable[[Broker], Awaitable[list[bool]]]] = {
    "done": lambda broker: broker.done("q", [(Owned("a", 7), "")]),
    "retry": lambda broker: broker.retry("q", [(Owned("a", 7), message_of("a"), 5, True)]),
    "archive": lambda broker: broker.archive("q", [(Owned("a", 7), message_of("a"))]),
}


@pytest.mark.parametrize("name", ENDS)
async def test_an_outcome_that_was_forgotten_can_be_written_again_by_its_worker(
    broker: Broker, redis: Redis, name: str
) -> None:
    await seed(redis, before := state(active=[kept("a", lease(7))]))
    assert await ENDS[name](broker) == [True]
    after = await dump(redis)
    await redis.flushall()
    await seed(redis, before)

    assert await ENDS[name](broker) == [True]

    assert await dump(redis) == after


async def test_a_fetch_that_was_forgotten_is_no_right_to_a_task_that_another_took_since(
    broker: Broker, redis: Redis
) -> None:
    await seed(redis, before := state(pending=[kept("a")]))
    await broker.dequeue("q", 1, expires_at=EXPIRY, token=1)
    await redis.flushall()
    await seed(redis, before)
    await broker.dequeue("q", 1, expires_at=EXPIRY, token=2)
    taken = await dump(redis)

    assert await broker.done("q", [(Owned("a", 1), "")]) == [False]
    assert await broker.requeue("q", [Owned("a", 1)]) == [False]
    assert await broker.extend("q", [Owned("a", 1)], expires_at=EXPIRY + 9) == [False]

    assert await dump(redis) == taken
    assert await broker.done("q", [(Owned("a", 2), "")]) == [True]


async def test_tasks_that_had_ended_run_again_when_older_data_comes_back_and_nothing_is_in_limbo(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """At least once: what Redis forgot cannot be known."""
    runs: Counter[str] = Counter()

    async def handler(task: ActiveTask) -> None:
        runs[task.id] += 1

    await client.enqueue_many([Task("t", name, task_id=name, unique=600) for name in "ab"])
    await client.enqueue(Task("t", task_id="kept", retention=600))
    older = await dump(redis)
    async with Server(redis_url, handler):
        await books_become(redis, Books(completed={"kept"}, processed=3))
        await redis.flushall()
        await seed(redis, older)
        await client.enqueue(Task("t", task_id="new"))
        await books_become(redis, Books(completed={"kept"}, processed=4))
    assert runs == Counter("abab") + Counter({"kept": 2, "new": 1})
    assert (await books(redis)).locks == 0
