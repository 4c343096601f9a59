from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, dump, kept, lease, message_of, seed, state

LOCK = "asynq:{q}:unique:t:"
END = int(NOW) + 3600


async def test_a_finished_task_is_kept_with_its_new_message_and_its_result(
    broker: Broker, redis: Redis
) -> None:
    fields = {"result": "42", "crashes": 1}
    await seed(redis, state(active=[kept("a", lease(7), fields=fields), kept("b", lease(7))]))

    message = message_of("a", completed_at=int(NOW), retention=3600)
    assert await broker.complete("q", [(Owned("a", 7), "", message, END)]) == [True]

    done = kept("a", END, completed_at=int(NOW), retention=3600, fields={"result": 42})
    assert await dump(redis) == state(active=[kept("b", lease(7))], completed=[done], processed=1)


async def test_the_lock_is_given_back_while_the_task_is_kept(broker: Broker, redis: Redis) -> None:
    fields = {"unique_key": LOCK}
    await seed(redis, state(active=[kept("a", lease(7), unique_key=LOCK, fields=fields)], locks={LOCK: "a"}))

    message = message_of("a", unique_key=LOCK)
    await broker.complete("q", [(Owned("a", 7), LOCK, message, END)])

    expected = state(completed=[kept("a", END, unique_key=LOCK, fields=fields)], processed=1)
    assert await dump(redis) == expected


async def test_several_tasks_are_answered_one_by_one(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7)), kept("b", lease(9)), kept("c", lease(7))]))

    items = [(Owned(i, 7), "", message_of(i, completed_at=5), END) for i in "abc"]
    assert await broker.complete("q", items) == [True, False, True]

    done = [kept("a", END, completed_at=5), kept("c", END, completed_at=5)]
    assert await dump(redis) == state(active=[kept("b", lease(9))], completed=done, processed=2)
