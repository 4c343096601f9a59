"""The tree of errors, and what each can tell."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from asynq_py import errors
from asynq_py.errors import (
    AsynqError,
    BrokerUnavailableError,
    DuplicateTaskError,
    HandlerNotFoundError,
    InvalidOptionError,
    LeaseExpiredError,
    QueueNotEmptyError,
    QueueNotFoundError,
    RetryLater,
    RevokeTask,
    SkipRetry,
    TaskFailedError,
    TaskIDConflictError,
    TaskNotFoundError,
)


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn = set(re.findall(r"\b[A-Z]\w+Error\b", str(errors.__doc__))) - {"TypeError", "ValueError"}
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, AsynqError)
    }
    assert drawn == defined


def test_a_bad_value_is_quoted_in_brief() -> None:
    error = InvalidOptionError("type", "x" * 1_000_000, "a short one")
    assert str(error) == f"type='{'x' * 298}… is not allowed: a short one"


@pytest.mark.parametrize("wish", [SkipRetry, RevokeTask, RetryLater])
def test_what_a_handler_raises_to_steer_its_task_is_no_error_of_ours(wish: type[Exception]) -> None:
    assert not issubclass(wish, AsynqError)


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (InvalidOptionError("timeout", -1, "more"), {"option": "timeout", "value": -1, "allowed": "more"}),
        (DuplicateTaskError(queue="q", task_id="i"), {"queue": "q", "task_id": "i"}),
        (TaskIDConflictError(queue="q", task_id="i"), {"queue": "q", "task_id": "i"}),
        (QueueNotFoundError("q"), {"queue": "q"}),
        (QueueNotEmptyError("q"), {"queue": "q"}),
        (TaskNotFoundError("q", "i"), {"queue": "q", "task_id": "i"}),
        (LeaseExpiredError("q", "i"), {"queue": "q", "task_id": "i"}),
        (TaskFailedError("q", "i", "boom"), {"queue": "q", "task_id": "i", "error": "boom"}),
        (HandlerNotFoundError("t"), {"task_type": "t"}),
        (BrokerUnavailableError("away"), {"maybe_done": False}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_carries_what_its_text_says(error: AsynqError, attributes: dict[str, object]) -> None:
    assert {name: getattr(error, name) for name in attributes} == attributes
    for value in attributes.values():
        assert isinstance(value, bool) or str(value) in str(error)


@pytest.mark.parametrize(("delay", "seconds"), [(0, 0.0), (1.5, 1.5), (timedelta(minutes=1), 60.0)])
def test_retry_later_takes_seconds_or_a_timedelta(delay: float | timedelta, seconds: float) -> None:
    assert RetryLater(delay).delay == seconds
    assert str(RetryLater(delay, "not now")) == "not now"


@pytest.mark.parametrize(
    "delay", [-1, timedelta(seconds=-1), float("nan"), float("inf"), "5", None, True], ids=repr
)
def test_retry_later_refuses_any_other_delay(delay: Any) -> None:
    with pytest.raises(InvalidOptionError, match=r"^delay="):
        RetryLater(delay)
