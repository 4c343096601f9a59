"""What a handler may know of its task, and do with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from asynq_py import AsynqError, CancelReason, InvalidOptionError, current_task
from asynq_py.active_task import ActiveTask, set_current_task
from asynq_py.wire.messages import TaskMessage
from tests.unit.tries import Try, active_task


def test_a_task_tells_what_its_message_and_its_try_say() -> None:
    attempt = Try()
    task = active_task("email", b'{"a": [1]}', attempt=attempt, retried=2)
    assert (task.id, task.type, task.queue, task.retried, task.max_retry) == (
        "id1",
        "email",
        "default",
        2,
        25,
    )
    assert (task.payload, task.json(), task.headers) == (b'{"a": [1]}', {"a": [1]}, {"k": "v"})
    assert (task.group, task.crashes, task.cancel_reason) == (None, 0, None)
    assert task.deadline == datetime(2026, 1, 2, 3, 4, 35, tzinfo=UTC)
    attempt.cancel_reason = CancelReason.TIMEOUT
    assert task.cancel_reason is CancelReason.TIMEOUT
    assert ActiveTask(TaskMessage(group_key="g"), attempt).group == "g"


@pytest.mark.parametrize(
    ("digits", "moment"),
    [
        (b"1767323045500000000", datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)),
        (None, None),
        (b"", None),
        (b"soon", None),
        (b"9" * 5000, None),
    ],
)
def test_a_task_tells_since_when_it_was_pending_if_that_is_known(
    digits: bytes | None, moment: datetime | None
) -> None:
    attempt = Try()
    attempt.pending_since = digits
    assert active_task("t", attempt=attempt).pending_since == moment


def test_a_task_tells_how_the_try_before_went() -> None:
    failed = TaskMessage(error_msg="no route", last_failed_at=1767323045)
    task = ActiveTask(failed, Try())
    assert (task.last_error, task.last_failed_at) == ("no route", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert (active_task().last_error, active_task().last_failed_at) == (None, None)


@pytest.mark.parametrize(("deadline", "year"), [(2.0**63, 9999), (-(2.0**63), 1)])
def test_a_deadline_beyond_what_a_datetime_can_show_is_the_last_or_first_that_it_can(
    deadline: float, year: int
) -> None:
    attempt = Try()
    attempt.deadline = deadline
    assert active_task("t", attempt=attempt).deadline.year == year


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff"])
def test_a_payload_that_is_no_json_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        active_task(payload=payload).json()


async def test_a_result_is_bytes() -> None:
    attempt = Try()
    task = active_task(attempt=attempt)
    await task.write_result(b"42")
    bad: Any = "42"
    with pytest.raises(InvalidOptionError, match=r"^result="):
        await task.write_result(bad)
    assert attempt.results == [b"42"]


def test_a_task_does_not_show_its_payload() -> None:
    assert repr(active_task("t", b"canary", retried=1)) == "<ActiveTask t id1 in 'default', try 2>"


async def test_the_current_task_is_known_below_its_handler_and_nowhere_else() -> None:
    async def handle(task: ActiveTask) -> ActiveTask:
        set_current_task(task)
        return await asyncio.create_task(below())

    async def below() -> ActiveTask:
        return current_task()

    one, two = active_task("one"), active_task("two")
    assert await asyncio.gather(*map(asyncio.create_task, (handle(one), handle(two)))) == [one, two]
    with pytest.raises(AsynqError, match="no task is being handled here"):
        current_task()


def test_a_name_begins_no_line_of_its_own_in_a_log_and_steers_no_terminal() -> None:
    task = ActiveTask(TaskMessage(type="a\nERROR b", id="\x1b[2J", queue="q\n"), Try())
    assert repr(task) == r"<ActiveTask a\nERROR b \x1b[2J in 'q\n', try 1>"
