from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW_NS, dump, kept, lease, seed, state

SINCE = {"pending_since": NOW_NS}


async def test_handed_back_tasks_run_next_in_the_order_given(broker: Broker, redis: Redis) -> None:
    waiting = [kept("x"), kept("y")]
    await seed(redis, state(active=[kept(i, lease(7)) for i in "abc"], pending=waiting))

    assert await broker.requeue("q", [Owned("b", 7), Owned("a", 7)]) == [True, True]

    back = [kept("b", fields=SINCE), kept("a", fields=SINCE)]
    assert await dump(redis) == state(active=[kept("c", lease(7))], pending=[*back, *waiting])


async def test_a_task_keeps_what_it_has(broker: Broker, redis: Redis) -> None:
    fields = {"crashes": 2, "group": "g", "result": "half"}
    await seed(redis, state(active=[kept("a", lease(7), retried=3, fields=fields)]))

    await broker.requeue("q", [Owned("a", 7)])

    assert await dump(redis) == state(pending=[kept("a", retried=3, fields=fields | SINCE)])


async def test_answers_stand_in_the_order_of_the_tasks(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7)), kept("b", lease(9))]))

    assert await broker.requeue("q", [Owned("a", 7), Owned("b", 7), Owned("c", 7)]) == [True, False, False]

    assert await dump(redis) == state(active=[kept("b", lease(9))], pending=[kept("a", fields=SINCE)])


async def test_an_id_without_a_message_is_not_handed_back(broker: Broker, redis: Redis) -> None:
    before = state(active=[kept("a", lease(7))])
    del before["asynq:{q}:t:a"]
    await seed(redis, before)

    assert await broker.requeue("q", [Owned("a", 7)]) == [False]
    assert await dump(redis) == {}


async def test_an_id_that_is_not_text_can_be_handed_back(broker: Broker, redis: Redis) -> None:
    await redis.hset(b"asynq:{q}:t:\xff", mapping={"msg": b"?", "state": "active"})
    await redis.lpush("asynq:{q}:active", b"\xff")
    await redis.zadd("asynq:{q}:lease", {b"\xff": lease(7)})

    assert await broker.requeue("q", [Owned(b"\xff", 7)]) == [True]
    assert await redis.lrange("asynq:{q}:pending", 0, -1) == [b"\xff"]
