"""What was meant by a name that nobody knows."""

from __future__ import annotations

import pytest

from asynq_py.suggestion import meant_by, unknown_option

KNOWN = ("queue", "max_retry", "timeout", "process_in", "process_at", "retention", "task_id")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("countdown", "process_in"), ("eta", "process_at"), ("_defer_by", "process_in"),
        ("_queue_name", "queue"), ("time_limit", "timeout"), ("result_ttl", "retention"),
        ("job_id", "task_id"), ("TIMEOUT", "timeout"),
        ("max_retri", "max_retry"), ("proces_in", "process_in"), ("colour", None), ("broker", None),
    ],
)  # fmt: skip
def test_it_may_be_the_name_of_another_library_or_misspelt(name: str, meant: str | None) -> None:
    assert meant_by(name, KNOWN) == meant


def test_what_others_do_by_an_option_is_told() -> None:
    error = unknown_option("acks_late", True, KNOWN, of="a task")
    assert str(error) == (
        "acks_late=True is not allowed: every task is acknowledged after it has run; the options of a task "
        "are queue, max_retry, timeout, process_in, process_at, retention, task_id"
    )
