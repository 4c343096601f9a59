from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from asynq_py.cli.wording import content, instant, printable, share, size, span, when

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.0004, "1ms"), (0.25, "250ms"), (1, "1s"), (59.6, "1m"), (90, "1m30s"), (3600, "1h"),
        (3605, "1h"), (5400, "1h30m"), (86400 * 3 + 3600 * 2 + 59, "3d2h"), (86400 + 5, "1d"),
    ],
)  # fmt: skip
def test_a_span_has_its_two_greatest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "in 5m"), (-7380, "2h3m ago"), (0.4, "now"), (-0.4, "now"), (None, "-")]
)
def test_an_instant_is_told_from_now(seconds: float | None, text: str) -> None:
    assert when(None if seconds is None else NOW + timedelta(seconds=seconds), NOW) == text


def test_an_instant_is_told_in_utc() -> None:
    assert instant(datetime.fromisoformat("2026-01-31T13:00:00+02:00")) == "2026-01-31 11:00:00Z"
    assert instant(None) == "-"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**3, "5.0 GiB"), (1024**4, "1.0 TiB")],
)
def test_a_size_has_a_unit(count: int, text: str) -> None:
    assert size(count) == text


def test_a_share_of_nothing_is_none() -> None:
    assert (share(1, 8), share(0, 0)) == ("12.50%", "-")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"n":1}', '{"n":1}'), ("é".encode(), "é"), (b"\xff\x00", "2 bytes, no text"),
        (b"  \n", "3 blanks"), (b"", ""), (None, "-"), (b"a\x1b[2Jb\n", "a\\x1b[2Jb\\n"),
    ],
)  # fmt: skip
def test_bytes_are_shown_if_people_can_read_them(data: bytes | None, text: str) -> None:
    assert content(data) == text


def test_what_steers_a_terminal_is_written_out() -> None:
    assert printable("a\u202eb\x07\ud800c d") == "a\\u202eb\\x07\\ud800c d"
