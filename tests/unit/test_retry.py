"""The default delay between tries. Behaviour 7."""

from __future__ import annotations

import random

import pytest

from asynq_py import ActiveTask, default_retry_delay
from asynq_py.retry import default_is_failure
from tests.unit.tries import active_task


@pytest.fixture
def task() -> ActiveTask:
    return active_task()


@pytest.mark.parametrize(
    ("n", "least", "most"),
    [
        (0, 15, 44),
        (1, 16, 74),
        (2, 31, 118),
        (5, 640, 814),
        (10, 10_015, 10_334),
        (24, 331_791, 332_516),
    ],
)
def test_the_delay_after_n_failures_spans_the_range_of_go(
    n: int, least: int, most: int, task: ActiveTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delay(choose: int) -> float:
        monkeypatch.setattr(random, "randint", lambda low, high: (low, high)[choose])
        return default_retry_delay(n, ValueError(), task)

    assert (delay(0), delay(1)) == (least, most)


def test_every_error_counts_as_a_failure() -> None:
    assert default_is_failure(ValueError())
