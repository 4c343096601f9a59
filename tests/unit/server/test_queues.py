"""Which queue is asked for how many tasks. Behaviour 5.3."""

from __future__ import annotations

import functools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynq_py.server.queues import QueueOrder

WEIGHTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 2**31 - 1), min_size=1)


def _order(weights: dict[str, int], *, strict: bool = False, seed: int = 1) -> QueueOrder:
    return QueueOrder(weights, strict=strict, choose=functools.partial(random.Random(seed).choices))


@given(WEIGHTS, st.booleans(), st.integers(1, 300), st.sets(st.sampled_from("abcdefgh")), st.integers())
def test_shares_sum_to_the_free_slots_and_no_empty_queue_is_asked(
    weights: dict[str, int], strict: bool, free: int, empty: set[str], seed: int
) -> None:
    shares = _order(weights, strict=strict, seed=seed).share(free, empty)
    names = [name for name, _ in shares]
    open_queues = set(weights) - empty
    assert sum(count for _, count in shares) == (free if open_queues else 0)
    assert set(names) <= open_queues
    assert len(set(names)) == len(names)
    assert all(count > 0 for _, count in shares)


@given(WEIGHTS, st.integers(1, 100), st.integers(1, 100))
def test_a_common_divisor_of_the_weights_changes_nothing(
    weights: dict[str, int], factor: int, free: int
) -> None:
    """Trap 11."""
    scaled = {name: weight * factor for name, weight in weights.items()}
    for strict in (True, False):
        one, other = _order(weights, strict=strict), _order(scaled, strict=strict)
        assert one.names == other.names
        assert one.share(free, set()) == other.share(free, set())


@given(WEIGHTS, st.integers(1, 100))
def test_strict_gives_all_slots_to_the_heaviest_queue_that_may_have_tasks(
    weights: dict[str, int], free: int
) -> None:
    order, empty = _order(weights, strict=True), set[str]()
    asked = []
    while shares := order.share(free, empty):
        ((name, count),) = shares
        assert count == free
        asked.append(weights[name])
        empty.add(name)
    assert asked == sorted(weights.values(), reverse=True)


def test_equal_weights_keep_the_order_in_which_they_were_given() -> None:
    order = _order({"c": 1, "a": 1, "x": 2, "b": 1}, strict=True)
    assert list(order.names) == ["x", "c", "a", "b"]


@pytest.mark.parametrize("strict", [True, False])
def test_one_queue_gets_all_slots_without_a_draw(strict: bool) -> None:
    def no_draw(*args: object, **kwargs: object) -> list[str]:
        raise AssertionError

    order = QueueOrder({"only": 3}, strict=strict, choose=no_draw)
    assert order.share(5, set()) == [("only", 5)]
    assert order.share(5, {"only"}) == []


def test_each_slot_is_drawn_by_weight() -> None:
    order = _order({"critical": 6, "default": 3, "low": 1})
    slots = Counter(dict(order.share(100_000, set())))
    assert slots["critical"] == pytest.approx(60_000, rel=0.02)
    assert slots["default"] == pytest.approx(30_000, rel=0.02)
    assert slots["low"] == pytest.approx(10_000, rel=0.05)


def test_a_light_queue_is_asked_first_in_its_share_of_rounds() -> None:
    order = _order({"heavy": 9, "light": 1})
    first = Counter(order.share(1, set())[0][0] for _ in range(20_000))
    assert first["light"] == pytest.approx(2_000, rel=0.1)


def test_what_an_empty_queue_leaves_goes_to_the_others_by_weight() -> None:
    order = _order({"critical": 6, "default": 3, "low": 1})
    slots = Counter(dict(order.share(40_000, {"critical"})))
    assert slots["default"] == pytest.approx(30_000, rel=0.02)
    assert slots["low"] == pytest.approx(10_000, rel=0.05)
