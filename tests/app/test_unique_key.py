"""What makes two calls the same: a template, or a function of some of the arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from asynq_py import InvalidOptionError, PayloadError
from asynq_py.app.unique_key import UniqueKey, check_names, check_unique_key, key_of


@dataclass
class Order:
    number: int
    lines: list[str]


VALUES = {"user_id": 42, "order": Order(7, ["a", "b"]), "note": "x"}


@pytest.mark.parametrize(
    ("key", "made"),
    [
        ("{user_id}", "42"),
        ("{user_id}:{order.number}:{order.lines[1]}", "42:7:b"),
        ("{user_id:05d}", "00042"),
        ("all", "all"),
        (lambda user_id: user_id, "42"),
        (lambda note: note, "x"),
        (lambda *, user_id, order: (user_id, order.number), "[42, 7]"),
        (lambda order: {"b": 1, "a": order.number}, '{"a": 7, "b": 1}'),
        (lambda: datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02T00:00:00+00:00"'),
    ],
)
def test_a_key_is_made_of_the_arguments_that_it_names(key: UniqueKey, made: str) -> None:
    check_unique_key(key)
    check_names(key, VALUES.keys())
    assert key_of(key, "t", VALUES) == made


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (5, "or a function"),
        ("{", "a template: "),
        ("{}", "by their names"),
        ("{0}", "by their names"),
    ],
)
def test_what_is_no_key_is_refused(key: Any, problem: str) -> None:
    with pytest.raises(InvalidOptionError, match=problem):
        check_unique_key(key)


@pytest.mark.parametrize("key", ["{nobody}", lambda nobody: nobody, lambda *args: args, dict])
def test_a_key_that_asks_for_what_the_task_has_not_is_refused(key: UniqueKey) -> None:
    with pytest.raises(InvalidOptionError, match="unique_key"):
        check_names(key, VALUES.keys())


def _raising(user_id: int) -> object:
    raise ValueError("not this one")


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("{order.nothing}", "AttributeError"),
        (_raising, "ValueError: not this one"),
        (lambda user_id: None, "it is None"),
        (lambda user_id: object(), "JSON cannot hold object"),
    ],
)
def test_a_key_that_cannot_be_made_is_an_error_of_the_call(
    key: str | Callable[..., object], problem: str
) -> None:
    with pytest.raises(PayloadError, match=f"t: unique_key: .*{problem}"):
        key_of(key, "t", VALUES)


def test_an_error_of_the_function_is_one_of_the_call_and_its_cause() -> None:
    def broken(user_id: int) -> float:
        return user_id / 0

    with pytest.raises(
        PayloadError, match=r"^t: unique_key: it cannot be made: ZeroDivisionError: div"
    ) as failed:
        key_of(broken, "t", VALUES)
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


async def _later(user_id: int) -> int:
    return user_id


@pytest.mark.parametrize(
    ("key", "problem"),
    [("", "which is not blank"), ("  ", "which is not blank"), (_later, "a plain function")],
)
def test_a_key_that_could_not_tell_calls_apart_is_refused(key: Any, problem: str) -> None:
    with pytest.raises(InvalidOptionError, match=problem):
        check_unique_key(key)
