from __future__ import annotations

import pytest

from asynq_py.dash.cells import bars, cell, number, spark


def test_bars_begin_at_zero_and_the_last_value_stands_at_the_right() -> None:
    assert bars([0, 3.5, 7], 5) == "  ▁▅█"
    assert bars([9, 0, 7, 7], 2) == "██"
    assert bars([0, 0], 2) == "▁▁"
    assert bars([], 3) == "   "


def test_a_spark_is_dim_where_nothing_happens() -> None:
    assert [span.style for span in spark([0, 0], "0", "green").spans] == ["dim"]
    assert [span.style for span in spark([0, 1], "1", "green").spans] == ["green"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.25, "0.25"), (12.34, "12.3"), (99.96, "100"), (1234.5, "1,234")]
)
def test_numbers_have_the_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_what_users_wrote_is_neither_markup_nor_an_order_to_the_terminal() -> None:
    seen = cell("[bold]x[/bold]\x1b[2J\n")
    assert seen.plain == "[bold]x[/bold]\\x1b[2J\\n"
    assert seen.spans == []
