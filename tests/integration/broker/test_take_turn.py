"""Sliding windows: never more in any span of their length."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from asynq_py.broker.gates import Gates
from asynq_py.broker.lanes import open_lane
from asynq_py.connection import Connector
from asynq_py.wire.keys import LimitKeys
from tests.clock import ManualClock
from tests.state import NOW

KEYS = LimitKeys("mail", "acme")

NUMBERS = itertools.count()


async def take(gates: Gates, who: str = "", keys: LimitKeys = KEYS) -> float:
    """Of three turns in a minute."""
    return await gates.take_turn(keys, who, count=3, period=60)


async def test_a_turn_is_free_again_exactly_one_period_after_it_was_taken(
    gates: Gates, clock: ManualClock
) -> None:
    told = []
    for _ in range(3):
        told.append(await take(gates))
        clock.advance(10)
    assert told == [0, 0, 0]
    assert await take(gates) == 30
    clock.advance(29.999999)
    assert await take(gates) == pytest.approx(0.000001)
    clock.advance(0.000001)
    assert [await take(gates), await take(gates)] == [0, 10]


async def test_those_who_wait_are_told_when_each_turn_is_free(gates: Gates, clock: ManualClock) -> None:
    for _ in range(3):
        await take(gates)
        clock.advance(10)
    assert [await take(gates, who) for who in "abcdefg"] == [30, 40, 50, 90, 100, 110, 150]


async def test_who_is_due_goes_before_those_who_come_anew(gates: Gates, clock: ManualClock) -> None:
    for _ in range(3):
        await take(gates)
        clock.advance(10)
    await take(gates, "waits")
    clock.advance(30)

    assert await take(gates) == 10
    assert await take(gates, "waits") == 0


async def test_a_count_that_is_lowered_holds_at_once(gates: Gates, clock: ManualClock) -> None:
    for _ in range(3):
        await take(gates)
        clock.advance(10)

    async def one(who: str = "") -> float:
        return await gates.take_turn(KEYS, who, count=1, period=60)

    assert [await one("a"), await one("b")] == [50, 110]
    clock.advance(50)
    assert await one("a") == 0


async def test_turns_expire_when_they_count_no_more(gates: Gates, redis: Redis) -> None:
    for who in ("", "", "", "a"):
        await take(gates, who)
    assert 119 < await redis.pttl(KEYS.turns) / 1000 <= 120
    assert 86459 < await redis.pttl(f"{KEYS.turns}:line") / 1000 <= 86460


async def test_a_clock_that_is_behind_frees_no_turn_early(gates: Gates, clock: ManualClock) -> None:
    await take(gates)
    clock.advance(-10)
    assert [await take(gates) for _ in range(3)] == [0, 0, 70]
    clock.advance(60)
    assert await take(gates) == 10


async def test_a_clock_that_was_years_ahead_is_not_believed_for_long(
    gates: Gates, clock: ManualClock
) -> None:
    clock.advance(1e8)
    await take(gates)
    clock.advance(-1e8)
    assert [await take(gates), await take(gates)] == [0, 0]
    clock.advance(60)
    assert [await take(gates), await take(gates)] == [0, 0]


@asynccontextmanager
async def _many(url: str, clock: ManualClock, count: int) -> AsyncGenerator[list[Gates]]:
    """Each with a connection of its own."""
    connector = Connector(url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(connector.aclose)
        lanes = [open_lane(connector, role="test") for _ in range(count)]
        for lane in lanes:
            stack.push_async_callback(lane.aclose)
        yield [Gates(lane, clock) for lane in lanes]


@given(
    count=st.integers(1, 5),
    period=st.integers(1, 60),
    steps=st.lists(
        st.tuples(
            st.one_of(st.just(0), st.integers(0, 3_000_000), st.integers(0, 60_000_000)),
            st.sampled_from(["", "", "a", "b", "c"]),
        ),
        max_size=60,
    ),
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_no_window_has_too_many_and_who_waits_as_told_is_let_in(
    gates: Gates, clock: ManualClock, count: int, period: int, steps: list[tuple[int, str]]
) -> None:
    now = int(NOW) * 1_000_000
    keys = LimitKeys(f"window-{next(NUMBERS)}")
    taken: list[int] = []

    async def ask(who: str) -> int:
        clock.now = now / 1_000_000
        wait = round(await gates.take_turn(keys, who, count=count, period=period) * 1_000_000)
        if not wait:
            taken.append(now)
        return wait

    last = 0
    for advance, who in steps:
        now += advance
        last = await ask(who)
    while last:  # alone from now on: nobody else comes
        now += last
        last = await ask("last")
    for first, beyond in zip(taken, taken[count:], strict=False):
        assert beyond - first >= period * 1_000_000


async def test_many_that_ask_at_once_never_get_more_than_there_is(redis_url: str, clock: ManualClock) -> None:
    async with _many(redis_url, clock, 8) as crowd:
        for moment in range(3):
            told = await asyncio.gather(
                *(gates.take_turn(KEYS, "", count=7, period=60) for gates in crowd for _ in range(20))
            )
            assert told.count(0) == 7, moment
            told = await asyncio.gather(
                *(
                    gates.take_token(KEYS, "", count=7, period=60, burst=9)
                    for gates in crowd
                    for _ in range(20)
                )
            )
            assert told.count(0) == (7 if moment else 9), moment
            told = await asyncio.gather(
                *(
                    gates.take_hold(KEYS, "", size=5, name=f"{place}-{moment}-{n}", lease=60)
                    for place, gates in enumerate(crowd)
                    for n in range(20)
                )
            )
            assert told.count(0) == 5, moment
            clock.advance(60)
