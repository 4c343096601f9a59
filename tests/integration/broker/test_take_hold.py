"""Holds: so many at once."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from asynq_py.broker.gates import Gates
from asynq_py.wire.keys import LimitKeys
from tests.clock import ManualClock
from tests.state import NOW

KEYS = LimitKeys("mail", "acme")


async def take(gates: Gates, name: str, who: str = "", *, size: int = 2) -> float:
    return await gates.take_hold(KEYS, who, size=size, name=name, lease=30)


async def test_there_are_so_many_at_once_and_one_more_when_one_is_given_back(gates: Gates) -> None:
    assert [await take(gates, "a"), await take(gates, "b")] == [0, 0]
    assert await take(gates, "c") > 0
    assert await gates.free_hold(KEYS, "a", held=1)
    assert await take(gates, "c") == 0
    assert await take(gates, "d") > 0


async def test_a_hold_that_is_not_renewed_ends_with_its_lease(gates: Gates, clock: ManualClock) -> None:
    await take(gates, "a")
    await take(gates, "b")
    clock.advance(29.999999)
    assert await take(gates, "c") > 0
    clock.advance(0.000001)
    assert [await take(gates, "c"), await take(gates, "d")] == [0, 0]


async def test_who_is_due_goes_before_those_who_come_anew(gates: Gates, clock: ManualClock) -> None:
    await take(gates, "a", size=1)
    clock.advance(await take(gates, "b", "waits", size=1))
    await gates.free_hold(KEYS, "a", held=1)

    assert await take(gates, "c", size=1) > 0
    assert await take(gates, "b", "waits", size=1) == 0


async def test_while_none_has_ended_the_guess_is_how_long_the_oldest_is_held(
    gates: Gates, clock: ManualClock
) -> None:
    await take(gates, "a")
    await take(gates, "b")
    guesses = []
    for seconds in (0, 0.05, 1, 3, 25):  # at 29.05 in all
        clock.advance(seconds)
        guesses.append(await take(gates, "c"))
    assert guesses == pytest.approx([0.05, 0.05, 0.525, 2.025, 5], abs=1e-5)


async def test_the_wait_that_is_guessed_follows_how_long_holds_last(gates: Gates) -> None:
    await take(gates, "a")
    await take(gates, "b")
    await gates.free_hold(KEYS, "a", held=4)
    await take(gates, "a")
    assert await take(gates, "c") == 2
    await gates.free_hold(KEYS, "a", held=9)
    await take(gates, "a")
    assert [await take(gates, "c", who) for who in "xyz"] == [2.5, 5, 7.5]  # a fifth of the way from 4 to 9


async def test_no_hold_however_long_makes_the_guess_longer_than_ten_seconds(gates: Gates) -> None:
    await take(gates, "a", size=1)
    await gates.renew_hold(KEYS, "a", lease=30, held=1e6)
    assert await take(gates, "b", size=1) == 10
    await gates.free_hold(KEYS, "a", held=1e6)
    await take(gates, "a", size=1)
    assert await take(gates, "b", size=1) == 10


async def test_holds_and_what_belongs_to_them_expire(gates: Gates, redis: Redis) -> None:
    await take(gates, "a", size=1)
    await take(gates, "b", "waits", size=1)
    await gates.renew_hold(KEYS, "a", lease=30, held=1)
    assert 89 < await redis.pttl(KEYS.holds) / 1000 <= 90
    assert 86400 < await redis.pttl(f"{KEYS.holds}:line") / 1000 <= 86401
    assert 3599 < await redis.pttl(KEYS.pace) / 1000 <= 3600


async def test_the_name_of_a_hold_and_the_end_of_its_lease_are_what_is_stored(
    gates: Gates, redis: Redis
) -> None:
    await take(gates, "a")
    assert await redis.zrange(KEYS.holds, 0, -1, withscores=True) == [
        (b"a", pytest.approx((NOW + 30) * 1_000_000, abs=1))
    ]
