from redis.asyncio import Redis

from asynq_py.broker.gates import Gates
from asynq_py.wire.keys import LimitKeys
from tests.clock import ManualClock

KEYS = LimitKeys("mail")


async def take(gates: Gates, name: str) -> float:
    return await gates.take_hold(KEYS, "", size=1, name=name, lease=30)


async def test_a_hold_that_is_renewed_lasts_another_lease(gates: Gates, clock: ManualClock) -> None:
    await take(gates, "a")
    clock.advance(20)
    assert await gates.renew_hold(KEYS, "a", lease=30, held=20)
    clock.advance(29)
    assert await take(gates, "b") > 0
    clock.advance(1)
    assert await take(gates, "b") == 0


async def test_a_hold_that_was_lost_to_another_is_not_renewed(
    gates: Gates, clock: ManualClock, redis: Redis
) -> None:
    await take(gates, "a")
    clock.advance(30)
    await take(gates, "b")
    before = await redis.zrange(KEYS.holds, 0, -1, withscores=True)

    assert not await gates.renew_hold(KEYS, "a", lease=30, held=30)
    assert await redis.zrange(KEYS.holds, 0, -1, withscores=True) == before
