"""Texts as Go writes and reads them: wire format 3.6."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynq_py.wire.go_text import date, duration, parse_date, parse_duration, quote, unquote


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (1, "1s"), (1.5, "1.5s"), (0.5, "500ms"), (0.0015, "1.5ms"), (0.000005, "5\u00b5s"),
        (1e-9, "1ns"), (60, "1m0s"), (90, "1m30s"), (3600, "1h0m0s"), (86400, "24h0m0s"),
        (129600.000005, "36h0m0.000005s"), (3601.25, "1h0m1.25s"),
    ],
)  # fmt: skip
def test_a_duration_is_written_as_go_does_and_read_back(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1d", "-1s", "1s ", "1..5s", "1h30", "\u0661s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_every_duration_in_milliseconds_comes_back(ms: int) -> None:
    assert parse_duration(duration(ms / 1000)) == pytest.approx(ms / 1000)


def test_a_date_is_written_in_utc_with_its_day_padded() -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, 999, tzinfo=UTC)
    assert date(moment.timestamp()) == "Tue Jan  2 03:04:05 UTC 2024"
    assert parse_date("Tue Jan  2 03:04:05 UTC 2024") == moment.replace(microsecond=0)
    with pytest.raises(ValueError, match="no date"):
        parse_date("2024-01-02")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("low", '"low"'), ('a"b\\c', '"a\\"b\\\\c"'),
        ("\n\t\x00\x7f", '"\\n\\t\\x00\\x7f"'), ("zażółć", '"zażółć"'),
        ("\u200b", '"\\u200b"'), ("\U0001f600", '"\U0001f600"'), ("\U000e0001", '"\\U000e0001"'),
    ],
)  # fmt: skip
def test_a_string_is_quoted_as_go_does_and_read_back(text: str, quoted: str) -> None:
    assert quote(text) == quoted
    assert unquote(quoted) == text


@given(st.text())
def test_every_string_comes_back(text: str) -> None:
    assert unquote(quote(text)) == text
