"""What callers may say about a task. Behaviour 2.3."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynq_py.errors import InvalidOptionError
from asynq_py.options import DEFAULTS, Options, check_seconds

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
INF, NAN = float("inf"), float("nan")


def test_the_defaults_are_those_of_go() -> None:
    assert dataclasses.asdict(Options()) == {
        "queue": "default",
        "task_id": None,
        "max_retry": 25,
        "timeout": None,
        "deadline": None,
        "unique": None,
        "process_at": None,
        "process_in": None,
        "retention": 0,
        "group": None,
    }


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("queue", "Low:1", "Low:1"),
        ("queue", "schön €", "schön €"),
        ("queue", "q" * 255, "q" * 255),
        ("task_id", "a:b", "a:b"),
        ("max_retry", 0, 0),
        ("max_retry", 2**31 - 1, 2**31 - 1),
        ("timeout", 30, 30),
        ("timeout", timedelta(minutes=1), 60),
        ("timeout", 0.5, 1),  # cut off it would mean "none"
        ("timeout", 1.001, 2),
        ("timeout", 0, None),
        ("deadline", MOMENT, 1893456000),
        ("deadline", MOMENT + timedelta(milliseconds=1), 1893456001),
        ("deadline", MOMENT.astimezone(timezone(timedelta(hours=5))), 1893456000),
        ("deadline", datetime(1970, 1, 1, tzinfo=UTC), None),  # the epoch means none, as in Go
        ("unique", 1, 1.0),
        ("unique", timedelta(hours=24), 86400.0),
        ("unique", 1.5, 1.5),
        ("process_at", MOMENT, 1893456000.0),
        ("process_in", 0, 0.0),
        ("process_in", 0.25, 0.25),
        ("process_in", timedelta(days=1), 86400.0),
        ("retention", 3600, 3600),
        ("retention", 0.1, 1),
        ("retention", 0, 0),
        ("group", "g", "g"),
    ],
)
def test_an_option_is_kept_in_seconds_and_rounded_up_to_what_the_wire_holds(
    name: str, given: object, kept: object
) -> None:
    options = DEFAULTS.override({name: given})
    assert getattr(options, name) == kept
    assert type(getattr(options, name)) is type(kept)


NAMES: list[Any] = [
    "", " ", "\t\n", "a\nb", "a\x00b", "a\x7fb", "a\x9fb", "\ud800", "q" * 256, b"bytes", 1, True,
]  # fmt: skip
SPANS: list[Any] = [-1, -0.001, INF, NAN, 1e10, 10**400, timedelta(seconds=-1), "30", True, MOMENT]
INSTANTS: list[Any] = [datetime(2030, 1, 1), MOMENT.date(), 1893456000, "2030-01-01"]
BAD: list[tuple[str, list[Any], str]] = [
    ("queue", [*NAMES, "a{b", "}"], "characters|braces"),
    ("task_id", NAMES, "1 to 255 characters"),
    ("group", NAMES, "1 to 255 characters"),
    ("max_retry", [-1, 2**31, 1.0, "3", True], "whole number from 0 to 2147483647"),
    ("timeout", SPANS, "0 or more seconds"),
    ("unique", [*SPANS, 0, 0.999], "1 or more seconds"),
    ("process_in", SPANS, "0 or more seconds"),
    ("retention", SPANS, "0 or more seconds"),
    ("deadline", INSTANTS, "with a time zone"),
    ("process_at", INSTANTS, "with a time zone"),
    ("color", ["red"], "options of a task are queue, task_id"),
]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [pytest.param(name, value, allowed, id=name) for name, values, allowed in BAD for value in values],
)
def test_a_bad_value_is_named_with_its_option_and_what_is_allowed(
    name: str, value: object, allowed: str
) -> None:
    with pytest.raises(InvalidOptionError, match=allowed) as caught:
        DEFAULTS.override({name: value})
    assert (caught.value.option, caught.value.value) == (name, value)
    assert str(caught.value).startswith(f"{name}={value!r} is not allowed: "[:200])


def test_a_later_option_wins_and_the_others_stay() -> None:
    first = DEFAULTS.override({"queue": "a", "timeout": 5, "max_retry": 1})
    assert first.override({"queue": "b"}) == Options(queue="b", timeout=5, max_retry=1)
    assert first.queue == "a"


@pytest.mark.parametrize(
    ("calls", "at", "after"),
    [
        ([{"process_in": 5}, {"process_at": MOMENT}], 1893456000.0, None),
        ([{"process_at": MOMENT}, {"process_in": 5}], None, 5.0),
        ([{"process_in": 5, "process_at": MOMENT}], 1893456000.0, None),
        ([{"process_at": MOMENT, "process_in": 5}], None, 5.0),
        ([{"process_in": 5, "process_at": None}], None, 5.0),
        ([{"process_in": 5}, {"process_at": None}], None, 5.0),
        ([{"process_at": None, "process_in": 5}], None, 5.0),
    ],
)
def test_of_process_at_and_process_in_the_later_given_wins(
    calls: list[dict[str, object]], at: float | None, after: float | None
) -> None:
    options = DEFAULTS
    for given_now in calls:
        options = options.override(given_now)
    assert (options.process_at, options.process_in) == (at, after)


@pytest.mark.parametrize(
    "name", ["queue", "task_id", "max_retry", "timeout", "deadline", "unique", "retention"]
)
def test_none_is_as_if_not_given(name: str) -> None:
    assert DEFAULTS.override({name: None}) == DEFAULTS


def test_none_takes_nothing_away() -> None:
    given = DEFAULTS.override({"queue": "low", "unique": 5, "process_in": 3})
    assert given.override({"queue": None, "unique": None, "process_in": None}) == given


@given(st.floats(0, 3e9) | st.timedeltas(timedelta(0), timedelta(days=36500)))
def test_a_span_on_the_wire_is_never_shorter_than_asked_for(span: float | timedelta) -> None:
    seconds = Fraction(check_seconds("timeout", span))
    timeout = DEFAULTS.override({"timeout": span}).timeout or 0
    assert seconds <= timeout < seconds + 1


@pytest.mark.parametrize("name", ["deadline", "process_at"])
@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (datetime.max.replace(tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        ),
        (
            datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
            datetime.min.replace(tzinfo=UTC),
        ),
    ],
)
def test_the_first_and_last_moment_can_be_shown_again(name: str, given: datetime, shown: datetime) -> None:
    kept: Any = getattr(Options().override({name: given}), name)
    assert datetime.fromtimestamp(kept, UTC) == shown
