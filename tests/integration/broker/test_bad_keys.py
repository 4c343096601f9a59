"""A key of another type where a script wants to write: it is refused before anything is changed. F63."""

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from asynq_py.errors import BrokerError
from tests.integration.broker.test_ownership import ENDINGS, LOCK
from tests.state import dump, kept, lease, seed, state

DAY = "2100-01-02"
P = "asynq:{q}:"
FAILURE = ("processed", "failed", f"processed:{DAY}", f"failed:{DAY}")
WRITTEN = {
    "done": ("active", "lease", "processed", f"processed:{DAY}"),
    "complete": ("active", "lease", "completed", "processed", f"processed:{DAY}"),
    "retry": ("active", "lease", "retry", *FAILURE),
    "archive": ("active", "lease", "archived", *FAILURE),
    "requeue": ("active", "lease", "pending"),
    "extend": ("lease",),
}
CASES = [pytest.param(ending, key, id=f"{ending}, {key}") for ending, keys in WRITTEN.items() for key in keys]


@pytest.mark.parametrize(("ending", "key"), CASES)
async def test_a_key_of_another_type_is_refused_and_nothing_is_changed(
    broker: Broker, redis: Redis, ending: str, key: str
) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]))
    await redis.delete(P + key)
    await redis.hset(P + key, "not", "ours")
    before = await dump(redis)

    with pytest.raises(BrokerError, match="WRONGTYPE"):
        await ENDINGS[ending](broker)

    assert await dump(redis) == before


@pytest.mark.parametrize("ending", ["complete", "retry", "archive", "requeue"])
async def test_a_task_whose_own_key_is_of_another_type_harms_itself_alone(
    broker: Broker, redis: Redis, ending: str
) -> None:
    await seed(redis, state(active=[kept("a", lease(7))]))
    await redis.delete(P + "t:a")
    await redis.set(P + "t:a", "not ours")
    before = await dump(redis)

    assert await ENDINGS[ending](broker) == [False]
    assert await dump(redis) == before


async def test_a_lock_of_another_type_is_left_alone(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7), fields={"unique_key": LOCK})]))
    await redis.hset(LOCK, "not", "ours")

    assert await ENDINGS["done"](broker) == [True]
    assert await redis.hgetall(LOCK) == {b"not": b"ours"}
