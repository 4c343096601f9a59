"""Q-10: 8 000 tasks to trim at once broke this and every later archiving in the queue."""

from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from asynq_py.wire import limits
from tests.state import NOW, dump, kept, lease, message_of, seed, state


async def test_q10_an_archive_of_many_old_tasks_can_be_added_to_and_shrinks(
    broker: Broker, redis: Redis
) -> None:
    old = [kept(f"old {n}", NOW - limits.ARCHIVE_AGE - 1) for n in range(8_100)]
    await seed(redis, state(archived=old, active=[kept(f"new {n}", lease(7)) for n in range(40)]))

    for n in range(40):
        task = (Owned(f"new {n}", 7), message_of(f"new {n}"))
        assert await broker.archive("q", [task]) == [True]

    assert await dump(redis) == state(
        archived=[kept(f"new {n}", NOW) for n in range(40)], processed=40, failed=40
    )
