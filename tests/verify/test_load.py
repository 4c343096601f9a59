"""What counts as flat. The run itself takes minutes: `make verify-load`."""

from __future__ import annotations

import random

import pytest

from tests.verify.load.sample import MIB, Sample, growth, is_flat, quantile, slope, spread


def samples(seconds: int, *, per_minute: float = 0.0, noise: float = 0.0) -> list[Sample]:
    """Of a worker that begins with 50 MiB, a sample each second."""
    drawn = random.Random(1)
    return [
        Sample(
            at, 0, int((50 + per_minute * at / 60 + drawn.uniform(-noise, noise)) * MIB), 1, 1, 1, 0.0, 0.0
        )
        for at in range(seconds)
    ]


def test_the_slope_is_told_in_mib_a_minute() -> None:
    assert slope(samples(120, per_minute=3)) == pytest.approx(3, rel=0.01)
    assert slope(samples(1)) == 0.0


@pytest.mark.parametrize(("per_minute", "flat"), [(0.0, True), (0.4, True), (3.0, False)])
def test_memory_that_grows_for_minutes_is_not_flat(per_minute: float, flat: bool) -> None:
    assert is_flat(samples(600, per_minute=per_minute, noise=0.5)) is flat


def test_a_steep_slope_in_a_short_time_is_noise_unless_something_has_grown() -> None:
    short = samples(20, per_minute=2, noise=0.2)
    assert slope(short) > 0.5
    assert growth(short) < 0.05
    assert is_flat(short)


def test_a_spread_leaves_out_the_odd_one() -> None:
    assert spread([4] * 99 + [9]) == 0
    assert spread([4] * 50 + [9] * 50) == 5


def test_quantiles_are_those_of_what_there_is() -> None:
    assert quantile([], 0.5) == 0.0
    assert [quantile([1.0, 2.0, 3.0, 4.0], share) for share in (0.0, 0.5, 0.99)] == [1.0, 3.0, 4.0]
