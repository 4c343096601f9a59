"""How rates are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynq_py import InvalidOptionError, RateLimit
from asynq_py.ratelimit.rate import Rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/m", Rate(100, 60)),
        ("5/s", Rate(5, 1)),
        ("1000/h", Rate(1000, 3600)),
        ("3/d", Rate(3, 86400)),
        ("10/30s", Rate(10, 30)),
        ("10/2h", Rate(10, 7200)),
        ("100/m burst 20", Rate(100, 60, 20)),
        ("5/s burst 1", Rate(5, 1, 1)),
        ("1000000/s burst 1000000", Rate(1_000_000, 1, 1_000_000)),
        ("10000/s", Rate(10_000, 1)),
        ("100 / minute", Rate(100, 60)),
        ("7/min", Rate(7, 60)),
        ("7/2day", Rate(7, 172800)),
        ("7/sec", Rate(7, 1)),
        (" 7/hour ", Rate(7, 3600)),
    ],
)
def test_a_rate_is_a_count_in_a_time_and_perhaps_a_burst(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        "", "100", "/m", "m", "100/", "100/x", "0/m", "-1/m", "1.5/s", "100/0s", "100/m burst",
        "100/m burst 0", "100/m  burst 5", "10/ms", "10/367d", "10001/m", "1000001/m burst 5",
        "5/m burst 1000001", "\u0661/m",
        "100/m; 5/s", "1000000000000/s burst 1", 100, None, b"100/m",
    ],
)  # fmt: skip
def test_what_is_no_rate_is_refused_with_examples_of_rates(text: object) -> None:
    with pytest.raises(InvalidOptionError, match=r'rate=.*"10/30s"'):
        Rate.parse(text)


@given(st.integers(1, 10_000), st.integers(1, 300), st.sampled_from("smhd"), st.integers(1, 1_000_000))
def test_what_is_written_is_read(count: int, times: int, unit: str, burst: int) -> None:
    period = times * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert Rate.parse(f"{count}/{times}{unit}") == Rate(count, period)
    assert Rate.parse(f"{count}/{times}{unit} burst {burst}") == Rate(count, period, burst)


def test_a_limit_checks_its_rate_before_it_connects() -> None:
    with pytest.raises(InvalidOptionError, match="rate='often'"):
        RateLimit("redis://nowhere", "often", name="n")
