from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, dump, kept, lease, seed, state


async def test_tasks_are_put_off_and_keep_what_they_have(broker: Broker, redis: Redis) -> None:
    fields = {"crashes": 2, "result": "half"}
    active = [kept("a", lease(7), retried=3, fields=fields), kept("b", lease(7)), kept("c", lease(7))]
    await seed(redis, state(active=active))

    answers = await broker.postpone("q", [(Owned("a", 7), int(NOW) + 2), (Owned("b", 7), int(NOW) + 3)])

    assert answers == [True, True]
    later = [kept("a", NOW + 2, retried=3, fields=fields), kept("b", NOW + 3)]
    assert await dump(redis) == state(active=[kept("c", lease(7))], scheduled=later)


async def test_a_task_that_is_not_ours_is_not_put_off(broker: Broker, redis: Redis) -> None:
    await seed(redis, before := state(active=[kept("a", lease(9))], retry=[kept("b", NOW)]))

    assert await broker.postpone("q", [(Owned(i, 7), int(NOW)) for i in ("a", "b", "gone")]) == [False] * 3
    assert await dump(redis) == before


async def test_an_id_without_a_message_is_not_put_off(broker: Broker, redis: Redis) -> None:
    before = state(active=[kept("a", lease(7))])
    del before["asynq:{q}:t:a"]
    await seed(redis, before)

    assert await broker.postpone("q", [(Owned("a", 7), int(NOW))]) == [False]
    assert await dump(redis) == {}
