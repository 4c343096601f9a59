"""Q-20: a client registered a queue once only, so one removed by another process stayed invisible."""

from redis.asyncio import Redis

from asynq_py.broker.broker import REGISTER_AGAIN, Broker
from tests.clock import ManualClock
from tests.state import new


async def test_q20_a_queue_that_was_removed_is_registered_again(
    broker: Broker, redis: Redis, clock: ManualClock
) -> None:
    await broker.enqueue("q", [new("a")])
    await redis.delete("asynq:queues")

    clock.advance(REGISTER_AGAIN)
    await broker.enqueue("q", [new("b")])

    assert await redis.smembers("asynq:queues") == {b"q"}
