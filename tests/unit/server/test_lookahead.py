"""How many tasks are taken ahead of free slots."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from asynq_py.server.lookahead import LookAhead


def _after(tasks_per_second: float, fetch: float, *, most: int = 100, rounds: int = 50) -> LookAhead:
    """As it stands after so many rounds of one second each."""
    look_ahead = LookAhead(most)
    for second in range(1, rounds + 1):
        for _ in range(round(tasks_per_second)):
            look_ahead.ended()
        look_ahead.fetched(fetch, float(second))
    return look_ahead


def test_nothing_is_taken_ahead_before_anything_is_known() -> None:
    assert LookAhead(100).target == 0


def test_twice_as_many_are_taken_ahead_as_end_during_one_fetch() -> None:
    assert _after(1000, 0.01).target == 20


def test_quick_tasks_are_taken_some_milliseconds_ahead_however_quick_a_fetch_is() -> None:
    assert _after(10_000, 0.0005).target == 60


def test_slow_tasks_are_never_taken_ahead() -> None:
    assert _after(100, 0.002).target == 0


def test_no_more_are_taken_ahead_than_allowed() -> None:
    assert _after(1000, 1.0, most=7).target == 7


def test_a_reset_forgets_how_quickly_tasks_ended() -> None:
    look_ahead = _after(1000, 0.01)
    look_ahead.reset()
    assert look_ahead.target == 0


def test_a_pause_makes_the_next_tasks_count_as_slow() -> None:
    look_ahead = _after(1000, 0.01)
    for hour in range(1, 10):
        look_ahead.fetched(0.01, 50.0 + 3600.0 * hour)
    assert look_ahead.target == 0


@given(
    rounds=st.lists(st.tuples(st.integers(0, 50), st.floats(0, 10), st.floats(0, 10))),
    most=st.integers(1, 200),
)
@example(rounds=[(1, 0.0, 5e-324)], most=1)
def test_the_target_stays_within_its_bounds(rounds: list[tuple[int, float, float]], most: int) -> None:
    look_ahead, now = LookAhead(most), 0.0
    for ended, seconds, pause in rounds:
        for _ in range(ended):
            look_ahead.ended()
        now += pause
        look_ahead.fetched(seconds, now)
        assert 0 <= look_ahead.target <= most
