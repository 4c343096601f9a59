"""From how a try ended to what is written. The table of behaviour 6.2."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynq_py.broker.broker import Owned
from asynq_py.errors import HandlerNotFoundError, LeaseExpiredError, RetryLater, RevokeTask, SkipRetry
from asynq_py.options import LONGEST
from asynq_py.server.outcome import (
    Archive,
    Complete,
    Done,
    Outcome,
    Retry,
    Rules,
    describe,
    fail,
    is_wish,
    succeed,
)
from asynq_py.wire.messages import TaskMessage

NOW = 1700000000.75
OURS = Owned("i", 7)
LOCK = "asynq:{q}:unique:t:"
BOOM = ValueError("boom")


def _never_a_failure(error: BaseException) -> bool:
    return False


RULES = Rules(
    retry_delay=lambda n, error: 100.5 + n, default_delay=lambda n, error: 15.0, is_failure=lambda error: True
)
FREE = replace(RULES, is_failure=_never_a_failure)


def _message(**fields: Any) -> TaskMessage:
    return TaskMessage(type="t", id="i", queue="q", unique_key=LOCK, **fields)


def _from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("retention", "outcome"),
    [
        (0, Done(OURS, LOCK)),
        (
            60,
            Complete(
                OURS, LOCK, _message(retention=60, completed_at=1700000000).SerializeToString(), 1700000060
            ),
        ),
    ],
)
def test_success_keeps_the_task_as_long_as_asked_for(retention: int, outcome: Outcome) -> None:
    assert succeed(OURS, _message(retention=retention), NOW) == outcome


@pytest.mark.parametrize(
    ("error", "retried", "rules", "kind", "retried_after", "counts"),
    [
        pytest.param(BOOM, 0, RULES, Retry, 1, True, id="failure"),
        pytest.param(BOOM, 2, RULES, Retry, 3, True, id="failure before the last retry"),
        pytest.param(BOOM, 3, RULES, Archive, 3, None, id="retries used up"),
        pytest.param(BOOM, 0, FREE, Retry, 0, False, id="not a failure"),
        pytest.param(BOOM, 3, FREE, Archive, 3, None, id="not a failure, retries used up (trap 4)"),
        pytest.param(SkipRetry("no"), 0, RULES, Archive, 0, None, id="skip"),
        pytest.param(SkipRetry("no"), 0, FREE, Archive, 0, None, id="skip, not a failure"),
        pytest.param(_from(KeyError(), SkipRetry()), 0, RULES, Archive, 0, None, id="raised from skip"),
        pytest.param(RevokeTask(), 3, RULES, Done, None, None, id="revoke"),
        pytest.param(_from(KeyError(), RevokeTask()), 0, RULES, Done, None, None, id="raised from revoke"),
        pytest.param(RetryLater(5), 0, RULES, Retry, 0, False, id="later"),
        pytest.param(RetryLater(5), 3, RULES, Retry, 3, False, id="later, retries used up"),
        pytest.param(_from(KeyError(), RetryLater(5)), 3, RULES, Retry, 3, False, id="raised from later"),
        pytest.param(_from(SkipRetry(), BOOM), 0, RULES, Archive, 0, None, id="skip raised from an error"),
        pytest.param(TimeoutError("slow"), 0, RULES, Retry, 1, True, id="timeout"),
        pytest.param(asyncio.CancelledError("canceled"), 0, RULES, Retry, 1, True, id="cancelled (trap 2)"),
        pytest.param(SystemExit(1), 0, RULES, Retry, 1, True, id="exit"),
    ],
)
def test_failure_ends_as_in_go(
    error: BaseException,
    retried: int,
    rules: Rules,
    kind: type[Outcome],
    retried_after: int | None,
    counts: bool | None,
) -> None:
    outcome = fail(OURS, _message(retry=3, retried=retried), error, NOW, rules)
    assert type(outcome) is kind
    assert outcome.task is OURS
    if isinstance(outcome, Done):
        assert outcome.lock == LOCK
        return
    assert isinstance(outcome, Retry | Archive)
    message = TaskMessage.FromString(outcome.message)
    assert message.retried == retried_after
    assert (message.error_msg, message.last_failed_at) == (describe(error), 1700000000)
    if isinstance(outcome, Retry):
        assert outcome.counts is counts


def test_a_revoked_task_is_dropped_whatever_its_retention() -> None:
    """Trap 5."""
    assert fail(OURS, _message(retention=60), RevokeTask(), NOW, RULES) == Done(OURS, LOCK)


def test_a_task_without_retries_is_archived_at_its_first_failure() -> None:
    assert isinstance(fail(OURS, _message(retry=0), BOOM, NOW, RULES), Archive)


@pytest.mark.parametrize(
    ("delay", "retry_at"),
    [
        (0, 1700000000),
        (10.1, 1700000010),
        (timedelta(minutes=1), 1700000060),
        (LONGEST, 1700000000 + int(LONGEST)),
        (-1, 1700000015),
        (timedelta(seconds=-1), 1700000015),
        (float("nan"), 1700000015),
        (float("inf"), 1700000015),
        (LONGEST * 2, 1700000015),
    ],
)
def test_the_next_try_comes_after_the_delay_or_the_default_if_that_cannot_be(
    delay: float | timedelta, retry_at: int
) -> None:
    outcome = fail(OURS, _message(retry=3), BOOM, NOW, replace(RULES, retry_delay=lambda n, error: delay))
    assert isinstance(outcome, Retry)
    assert outcome.retry_at == retry_at


@pytest.mark.parametrize("rules", [RULES, FREE], ids=["counted", "free"])
def test_the_delay_is_asked_for_with_the_failures_before_this_one(rules: Rules) -> None:
    asked: list[tuple[int, BaseException]] = []

    def retry_delay(n: int, error: BaseException) -> float:
        asked.append((n, error))
        return 1.0

    fail(OURS, _message(retry=3, retried=2), BOOM, NOW, replace(rules, retry_delay=retry_delay))
    assert asked == [(2, BOOM)]


@given(st.floats(0, LONGEST))
def test_retry_later_never_comes_too_early(delay: float) -> None:
    outcome = fail(OURS, _message(), RetryLater(delay), NOW, RULES)
    assert isinstance(outcome, Retry)
    assert NOW + delay <= outcome.retry_at < NOW + delay + 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise KeyError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BOOM, "ValueError: boom"),
        (ValueError(), "ValueError"),
        (SkipRetry("bad address"), "bad address"),
        (SkipRetry(), "SkipRetry"),
        (HandlerNotFoundError("t"), "handler not found for task 't'"),
        (RetryLater(1, "busy"), "RetryLater: busy"),
        (LeaseExpiredError("q", "i"), "LeaseExpiredError: the lease of task 'i' in queue 'q' is lost"),
        (Unspeakable(), "Unspeakable"),
    ],
)
def test_an_error_is_described_by_kind_and_text(error: BaseException, text: str) -> None:
    assert describe(error) == text


@pytest.mark.parametrize("rules", [RULES, FREE])
@pytest.mark.parametrize(
    "make", [lambda: ValueError("\ud800" * 5000), Unspeakable, lambda: SkipRetry("\ud800")]
)
def test_no_text_of_an_error_keeps_its_outcome_from_being_stored(
    make: Callable[[], Exception], rules: Rules
) -> None:
    outcome = fail(OURS, _message(retry=3), make(), NOW, rules)
    assert isinstance(outcome, Retry | Archive)
    assert TaskMessage.FromString(outcome.message).error_msg


def test_a_wish_is_found_behind_the_error_that_carries_it() -> None:
    assert is_wish(_from(KeyError(), _from(KeyError(), RetryLater(1))))
    assert not is_wish(_from(KeyError(), BOOM))


def test_errors_that_cause_each_other_are_followed_to_an_end() -> None:
    error = KeyError()
    _from(error, _from(KeyError(), error))
    assert not is_wish(error)
