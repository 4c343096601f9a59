"""Buckets of tokens, and the line before them, beside a model in plain Python."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from asynq_py.broker.gates import Gates
from asynq_py.wire.keys import LimitKeys
from tests.clock import ManualClock
from tests.state import NOW

KEYS = LimitKeys("mail", "acme")
RESERVED = 10_000_000
LOST = 86_400_000_000

NUMBERS = itertools.count()


async def take(gates: Gates, who: str = "", keys: LimitKeys = KEYS) -> float:
    """Of a bucket of 3 that gets a token every 20 seconds."""
    return await gates.take_token(keys, who, count=3, period=60, burst=3)


async def test_a_full_bucket_gives_its_burst_and_then_a_token_whenever_one_comes_in(
    gates: Gates, clock: ManualClock
) -> None:
    assert [await take(gates) for _ in range(4)] == [0, 0, 0, 20]
    clock.advance(19.999999)
    assert await take(gates) == pytest.approx(0.000001)
    clock.advance(0.000001)
    assert [await take(gates), await take(gates)] == [0, 20]


async def test_a_bucket_never_holds_more_than_its_burst(gates: Gates, clock: ManualClock) -> None:
    await take(gates)
    clock.advance(1e6)
    assert [await take(gates) for _ in range(4)] == [0, 0, 0, 20]


async def test_those_who_wait_are_told_different_times(gates: Gates) -> None:
    for _ in range(3):
        await take(gates)
    assert [await take(gates, who) for who in "abcd"] == [20, 40, 60, 80]
    assert await take(gates, "b") == 40  # who asks early keeps its place


async def test_who_is_due_goes_before_those_who_come_anew(gates: Gates, clock: ManualClock) -> None:
    for _ in range(3):
        await take(gates)
    await take(gates, "waits")
    clock.advance(20)

    assert await take(gates, "new") == 20
    assert await take(gates) == 40
    assert await take(gates, "waits") == 0


async def test_a_stream_of_newcomers_starves_nobody(gates: Gates, clock: ManualClock) -> None:
    for _ in range(3):
        await take(gates)
    waits, asked = await take(gates, "waits"), 0
    until = clock.now + waits
    while waits:
        clock.advance(1)
        await take(gates, f"new-{clock.now}")
        await take(gates)
        if clock.now >= until:
            waits = await take(gates, "waits")
            until = clock.now + waits
            asked += 1
    assert asked == 1


async def single(gates: Gates, who: str = "") -> float:
    """Of a bucket of 1 that gets a token every 20 seconds."""
    return await gates.take_token(KEYS, who, count=3, period=60, burst=1)


async def test_who_does_not_come_when_due_keeps_others_off_for_ten_seconds(
    gates: Gates, clock: ManualClock
) -> None:
    assert [await single(gates), await single(gates, "deleted")] == [0, 20]
    clock.advance(29.9)
    assert await single(gates) > 0
    clock.advance(0.1)
    assert await single(gates) == 0


@pytest.mark.parametrize(("lateness", "let_in"), [(86399.0, True), (86400.0, False)])
async def test_who_comes_late_still_goes_before_those_who_come_anew(
    gates: Gates, clock: ManualClock, lateness: float, let_in: bool
) -> None:
    await single(gates)
    await single(gates, "late")  # due in 20 seconds
    clock.advance(lateness - 1)
    await single(gates)
    await single(gates, "due")
    clock.advance(21)  # there is one token, and one that is due for it
    assert await single(gates, "new") > 0
    assert (await single(gates, "late") == 0) is let_in


async def test_a_queue_in_which_tasks_wait_long_takes_its_limit_all_the_same(
    gates: Gates, clock: ManualClock
) -> None:
    """Each task is back only a quarter of an hour after its time."""
    start = clock.now
    due = [(clock.now, f"task-{number:03}") for number in range(100)]
    asked = 0
    while due:
        due.sort()
        at, who = due.pop(0)
        clock.now = max(clock.now, at)
        asked += 1
        wait = await single(gates, who)
        if wait:
            due.append((clock.now + wait + 900, who))
    assert asked < 250
    assert clock.now - start < 1.2 * (99 * 20 + 900)


async def test_hundreds_that_wait_ask_little_more_than_once_each_and_go_in_order(
    gates: Gates, clock: ManualClock
) -> None:
    async def ask(who: str) -> float:
        return await gates.take_token(KEYS, who, count=10, period=60, burst=10)

    start = clock.now
    due = [(clock.now, f"task-{number:04}") for number in range(300)]
    served: list[str] = []
    asked = 0
    while due:
        due.sort()
        at, who = due.pop(0)
        clock.now = max(clock.now, at)
        asked += 1
        wait = await ask(who)
        if wait:
            due.append((math.ceil(clock.now + wait), who))  # tasks are put off by whole seconds
        else:
            served.append(who)
    assert served == sorted(served)
    assert asked <= 2 * len(served) - 10
    assert clock.now - start <= 290 * 6 + 1


async def test_a_bucket_and_its_line_expire_when_they_say_nothing_any_more(
    gates: Gates, redis: Redis
) -> None:
    await take(gates)
    assert (
        79 < await redis.pttl(KEYS.tokens) / 1000 <= 80
    )  # full in 20 seconds, and a minute for wrong clocks
    await take(gates)
    await take(gates)
    await take(gates, "a")
    await take(gates, "b")
    assert 119 < await redis.pttl(KEYS.tokens) / 1000 <= 120
    assert 86439 < await redis.pttl(f"{KEYS.tokens}:line") / 1000 <= 86440  # a day after the last is due


async def test_the_line_is_empty_when_all_were_let_in(gates: Gates, clock: ManualClock, redis: Redis) -> None:
    for _ in range(3):
        await take(gates)
    await take(gates, "a")
    clock.advance(20)
    assert await take(gates, "a") == 0
    assert await redis.exists(f"{KEYS.tokens}:line") == 0


async def test_who_leaves_holds_nobody_up(gates: Gates, clock: ManualClock) -> None:
    for _ in range(3):
        await take(gates)
    await take(gates, "a")
    await gates.leave(KEYS.tokens, "a")
    clock.advance(20)
    assert await take(gates, "b") == 0


async def test_limits_of_other_keys_are_others(gates: Gates) -> None:
    for _ in range(3):
        await take(gates)
    assert await take(gates, keys=LimitKeys("mail", "other")) == 0
    assert await take(gates, keys=LimitKeys("mail")) == 0
    assert await take(gates, keys=LimitKeys("other", "acme")) == 0


async def test_a_clock_that_is_behind_neither_adds_tokens_nor_takes_any(
    gates: Gates, clock: ManualClock
) -> None:
    await take(gates)
    clock.advance(-10)
    assert [await take(gates) for _ in range(3)] == [0, 0, 30]
    clock.advance(10)
    assert await take(gates) == 20


async def test_a_clock_that_was_years_ahead_is_not_believed_for_long(
    gates: Gates, clock: ManualClock
) -> None:
    clock.advance(1e8)
    await take(gates)
    clock.advance(-1e8)
    assert [await take(gates) for _ in range(3)] == [0, 0, 20]
    clock.advance(20)
    assert await take(gates) == 0


async def test_a_rate_that_is_changed_remembers_what_was_taken(gates: Gates) -> None:
    await take(gates)
    await take(gates)

    async def other() -> float:
        return await gates.take_token(KEYS, "", count=4, period=8, burst=2)

    assert [await other(), await other()] == [0, 2]


class Model:
    """The same in exact numbers; time in microseconds."""

    def __init__(self, now: int, count: int, period: int, burst: int) -> None:
        self.count, self.period, self.burst = count, period, burst
        self.tokens, self.at = Fraction(burst), now
        self.line: dict[str, int] = {}

    def take(self, now: int, who: str) -> int:
        self.tokens = min(
            Fraction(self.burst), self.tokens + Fraction((now - self.at) * self.count, self.period)
        )
        self.at = now
        self.line = {name: at for name, at in self.line.items() if at > now - LOST}
        mine = self.line.get(who)
        punctual = {name: at for name, at in self.line.items() if at > now - RESERVED}
        order = sorted(punctual, key=lambda name: (punctual[name], name))
        before = order.index(who) if who in punctual else len(order)
        due = 0 if mine is not None and mine <= now else sum(at <= now for at in punctual.values())
        if self.tokens >= due + 1:
            self.tokens -= 1
            self.line.pop(who, None)
            return 0
        wait = math.ceil((before + 1 - self.tokens) * self.period / self.count)
        if who:
            self.line[who] = now + wait
        return wait


@given(
    count=st.integers(1, 50),
    period=st.integers(1, 100),
    burst=st.integers(1, 5),
    steps=st.lists(
        st.tuples(
            st.one_of(st.just(0), st.integers(0, 5_000_000), st.integers(0, 100_000_000)),
            st.sampled_from(["", "", "a", "b", "c", "d"]),
        ),
        max_size=40,
    ),
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_bucket_does_what_the_model_does(
    gates: Gates, clock: ManualClock, count: int, period: int, burst: int, steps: list[tuple[int, str]]
) -> None:
    now = int(NOW) * 1_000_000
    keys = LimitKeys(f"model-{next(NUMBERS)}")
    model = Model(now, count, period * 1_000_000, burst)
    for advance, who in steps:
        now += advance
        clock.now = now / 1_000_000
        told = await gates.take_token(keys, who, count=count, period=period, burst=burst)
        assert round(told * 1_000_000) == model.take(now, who)
