"""Q-41: in a batch duplicates passed for stored, and one failure failed all."""

import pytest
from redis.asyncio import Redis

from asynq_py import Client, EnqueueError, Task, TaskIDConflictError, TaskInfo
from asynq_py.broker.broker import Broker
from asynq_py.broker.lane import Lane
from asynq_py.connection import Connector
from asynq_py.errors import BrokerUnavailableError
from tests.clock import ManualClock
from tests.proxy import Lose, Proxy
from tests.state import new


async def test_q41_each_task_of_a_batch_gets_its_own_answer(client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t"), queue="q", task_id="used")
    tasks = [Task("t", task_id="a"), Task("t", b"x" * 2_000_000), Task("t", task_id="used")]

    stored, large, used = await client.enqueue_many(tasks, queue="q")

    assert isinstance(stored, TaskInfo)
    assert isinstance(large, EnqueueError)
    assert isinstance(used, TaskIDConflictError)
    assert await redis.lrange("asynq:{q}:pending", 0, -1) == [b"a", b"used"]


async def test_q41_a_queue_counts_as_registered_only_once_it_is(
    proxy: Proxy, redis: Redis, clock: ManualClock
) -> None:
    connector = Connector(proxy.url)
    lane = Lane(connector, role="test")
    broker = Broker(lane, clock)
    proxy.inject(Lose(), at=b"SADD")
    with pytest.raises(BrokerUnavailableError):
        await broker.enqueue("q", [new("a")])

    await broker.enqueue("q", [new("a")])

    assert await redis.smembers("asynq:queues") == {b"q"}
    await lane.aclose()
