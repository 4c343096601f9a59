from redis.asyncio import Redis

from asynq_py.broker.gates import Gates
from asynq_py.wire.keys import LimitKeys

KEYS = LimitKeys("mail")


async def test_a_hold_is_given_back_once(gates: Gates, redis: Redis) -> None:
    await gates.take_hold(KEYS, "", size=1, name="a", lease=30)
    assert await gates.free_hold(KEYS, "a", held=2)
    assert not await gates.free_hold(KEYS, "a", held=9)
    assert await redis.exists(KEYS.holds) == 0
    assert await redis.get(KEYS.pace) == b"2000000"


async def test_giving_back_what_others_hold_changes_nothing(gates: Gates) -> None:
    await gates.take_hold(KEYS, "", size=1, name="a", lease=30)
    assert not await gates.free_hold(KEYS, "b", held=1)
    assert await gates.take_hold(KEYS, "", size=1, name="c", lease=30) > 0
