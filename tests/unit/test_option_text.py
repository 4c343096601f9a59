"""Options as text: wire format 3.6, Q-25."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from asynq_py import TaskOptions
from asynq_py.option_text import read, write
from asynq_py.options import DEFAULTS

MOMENT = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"max_retry": 3}, "MaxRetry(3)"),
        ({"queue": "low"}, 'Queue("low")'),
        ({"task_id": "x"}, 'TaskID("x")'),
        ({"timeout": 90}, "Timeout(1m30s)"),
        ({"deadline": MOMENT}, "Deadline(Tue Jan  2 03:04:05 UTC 2024)"),
        ({"unique": 86400}, "Unique(24h0m0s)"),
        ({"process_at": MOMENT}, "ProcessAt(Tue Jan  2 03:04:05 UTC 2024)"),
        ({"process_in": 129600.000005}, "ProcessIn(36h0m0.000005s)"),
        ({"retention": 60}, "Retention(1m0s)"),
        ({"group": "g"}, 'Group("g")'),
    ],
)
def test_an_option_is_written_as_go_does_and_read_back(given: TaskOptions, text: str) -> None:
    assert write(DEFAULTS.override(given)) == [text]
    assert read([text]) == given


def test_defaults_are_not_told() -> None:
    assert write(DEFAULTS) == []


def test_several_options_come_in_their_order() -> None:
    assert write(DEFAULTS.override({"max_retry": 0, "queue": "a"})) == ['Queue("a")', "MaxRetry(0)"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MaxRetry",
        "MaxRetry(x)",
        "Novelty(1)",
        "Timeout(1d)",
        "Queue(low)",
        ")(",
        'Queue("\\UFFFFFFFF")',
        "Deadline(Tue Jan  2 03:04:05 UTC 99999999999)",
        "Timeout(" + "9" * 70_000 + ")",
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_understood_is_left_out(text: str) -> None:
    assert read([text, "MaxRetry(3)"]) == {"max_retry": 3}
