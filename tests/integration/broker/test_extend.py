from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, dump, kept, lease, seed, state

LATER = NOW + 60


async def test_leases_end_later_and_keep_their_tokens(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(7)), kept("b", lease(123_456)), kept("c", lease(7))]))

    answers = await broker.extend("q", [Owned("a", 7), Owned("b", 123_456)], expires_at=int(LATER))

    assert answers == [True, True]
    assert await dump(redis) == state(
        active=[kept("a", lease(7, LATER)), kept("b", lease(123_456, LATER)), kept("c", lease(7))]
    )


async def test_a_lease_can_be_extended_again_and_again(broker: Broker, redis: Redis) -> None:
    await seed(redis, state(active=[kept("a", lease(999_999))]))

    for beat in range(1, 20):
        assert await broker.extend("q", [Owned("a", 999_999)], expires_at=int(NOW) + beat) == [True]

    assert await dump(redis) == state(active=[kept("a", lease(999_999, NOW + 19))])


async def test_a_lease_that_is_gone_is_not_made_anew(broker: Broker, redis: Redis) -> None:
    await seed(redis, before := state(active=[kept("a", lease(7))]))

    answers = await broker.extend("q", [Owned("gone", 7), Owned("a", 8)], expires_at=int(LATER))

    assert answers == [False, False]
    assert await dump(redis) == before
