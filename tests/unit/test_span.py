"""Spans as people write them."""

from __future__ import annotations

import pytest

from asynq_py import InvalidOptionError, RetryLater
from asynq_py.options import check_seconds
from asynq_py.span import seconds_in


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("250ms", 0.25), ("5m", 300), ("1h30m", 5400), (" 2d ", 172800), ("1w", 604800),
        ("1h 30m", 5400), ("1.5 h", 5400), ("0s", 0),
    ],
)  # fmt: skip
def test_numbers_with_units_are_added_up(text: str, seconds: float) -> None:
    assert seconds_in(text) == seconds
    assert check_seconds("timeout", text) == seconds
    assert RetryLater(text).delay == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "1x", "-1s", "1h-", "1,5h", "1e3s", "٣s", "1s" * 51, "inf", "1H"]
)
def test_what_has_no_unit_or_another_one_is_no_span(text: str) -> None:
    assert seconds_in(text) is None
    for use in (lambda: check_seconds("timeout", text), lambda: RetryLater(text)):
        with pytest.raises(InvalidOptionError, match='text such as "90s"'):
            use()


def test_a_span_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="at most 100 years"):
        check_seconds("timeout", "9" * 90 + "w")
