"""Q-31: the driver sent scripts again after a lost answer, and took the first success for a refusal."""

from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Task
from asynq_py.broker.broker import Broker
from asynq_py.broker.lane import Lane
from asynq_py.connection import Connector
from asynq_py.errors import BrokerUnavailableError
from tests.clock import ManualClock
from tests.proxy import Cut, Proxy
from tests.state import NOW, kept, seed, state


@pytest.mark.parametrize("options", [{"task_id": "a"}, {"unique": 60}], ids=["ID", "unique"])
async def test_q31_a_task_is_not_refused_as_its_own_duplicate(
    proxy: Proxy, redis: Redis, options: dict[str, Any]
) -> None:
    async with Client(proxy.url) as client:
        await client.enqueue(Task("t"), queue="warm")
        proxy.inject(Cut())

        await client.enqueue(Task("t"), queue="q", **options)

    assert await redis.llen("asynq:{q}:pending") == 1


async def test_q31_a_fetch_without_an_answer_is_not_lost_until_the_lease_ends(
    proxy: Proxy, redis: Redis, clock: ManualClock
) -> None:
    connector = Connector(proxy.url)
    lane = Lane(connector, role="test")
    broker = Broker(lane, clock)
    await broker.dequeue("q", 1, expires_at=int(NOW) + 30, token=6)
    await seed(redis, state(pending=[kept("a"), kept("b")]))
    proxy.inject(Cut())
    asked = proxy.count(b"EVALSHA")

    with pytest.raises(BrokerUnavailableError):
        await broker.dequeue("q", 1, expires_at=int(NOW) + 30, token=7)
    assert proxy.count(b"EVALSHA") == asked + 1  # nobody sent it again behind our back
    tasks = await broker.dequeue("q", 1, expires_at=int(NOW) + 30, token=7, repeated=True)

    assert [task.id for task in tasks or ()] == ["a"]
    assert await redis.lrange("asynq:{q}:pending", 0, -1) == [b"b"]
    await lane.aclose()
