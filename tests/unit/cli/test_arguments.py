from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from asynq_py.cli.arguments import INSTANT, SPAN, WEIGHTS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0), ("1.5", 1.5), ("90s", 90.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("250ms", 0.25),
        ("2d", 172800.0), ("0", 0.0), (90, 90.0),
    ],
)  # fmt: skip
def test_a_span_is_read(text: str | int, seconds: float) -> None:
    assert SPAN.convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "soon", "1h and more", "-5", "5 s", "1y", "٣", "1e3", "inf", "9" * 70_000 + "x"]
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no duration"):
        SPAN.convert(text, None, None)


def test_an_instant_is_read_in_any_zone() -> None:
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert INSTANT.convert("2026-01-31T12:00:00Z", None, None) == at
    assert INSTANT.convert("2026-01-31T14:00:00+02:00", None, None) == at
    assert INSTANT.convert(at, None, None) == at


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_an_instant_that_utc_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="in UTC"):
        INSTANT.convert(text, None, None)


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        ("a=6,b=1", {"a": 6, "b": 1}), ("a, b", {"a": 1, "b": 1}), ("x=y=2", {"x=y": 2}),
        ({"a": 6}, {"a": 6}), (["a", "b"], {"a": 1, "b": 1}), ("mail:fast=3", {"mail:fast": 3}),
    ],
)  # fmt: skip
def test_weights_are_read(given: object, weights: dict[str, int]) -> None:
    assert WEIGHTS.convert(given, None, None) == weights


@pytest.mark.parametrize(
    "text", ["", "a,,b", "a=", "a=x", "a=0", "=3", "a=-1", "a=1.5", "a=²", f"a={'9' * 5000}"]
)
def test_what_are_no_weights_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is neither a queue nor one with its weight"):
        WEIGHTS.convert(text, None, None)
