"""What was enqueued, and messages of assertions that say so. No server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asynq_py import InvalidOptionError, Task, TaskInfo, TaskState
from asynq_py.testing.bookkeeper import Bookkeeper
from asynq_py.testing.virtual_clock import VirtualClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def info(number: int, task: Task, delay: float = 0) -> TaskInfo:
    return TaskInfo(
        id=f"id-{number}",
        queue=task.options.queue,
        type=task.type,
        payload=task.payload or b"",
        headers=task.headers,
        state=TaskState.PENDING,
        max_retry=25,
        retried=0,
        last_error=None,
        last_failed_at=None,
        timeout=None,
        deadline=None,
        group=task.options.group,
        next_process_at=None if task.options.group else NOW + timedelta(seconds=delay),
        retention=0,
        completed_at=None,
        result=None,
    )


async def keeper_of(*tasks: Task | tuple[Task, float]) -> Bookkeeper:
    keeper = Bookkeeper(VirtualClock(NOW))
    pairs = [item if isinstance(item, tuple) else (item, 0.0) for item in tasks]

    async def store(given: Sequence[Task]) -> list[Any]:
        return [info(number, *pairs[number]) for number in range(len(given))]

    await keeper.write_down([task for task, _ in pairs], store)
    return keeper


async def test_arguments_are_looked_for_among_others() -> None:
    keeper = await keeper_of(Task("mail", {"user_id": 42, "template": "hi"}))
    keeper.assert_enqueued("mail")
    keeper.assert_enqueued("mail", user_id=42, count=1)
    keeper.assert_enqueued("mail", payload={"template": "hi", "user_id": 42})
    keeper.assert_enqueued(Task("mail", '{ "user_id": 42, "template": "hi" }'))
    keeper.assert_not_enqueued("mail", user_id=43)
    keeper.assert_not_enqueued("mail", payload={"user_id": 42})
    keeper.assert_not_enqueued(Task("mail", {"user_id": 42}))
    keeper.assert_not_enqueued("post")


async def test_the_first_that_fits_is_returned() -> None:
    keeper = await keeper_of(Task("mail", {"n": 1}), Task("mail", {"n": 2}, headers={"a": "b"}))
    found = keeper.assert_enqueued("mail", n=2)
    assert (found.id, found.json(), dict(found.headers)) == ("id-1", {"n": 2}, {"a": "b"})
    assert [entry.id for entry in keeper.enqueued("mail")] == ["id-0", "id-1"]


async def test_the_message_says_what_was_enqueued_instead() -> None:
    keeper = await keeper_of(
        Task("mail", {"user_id": 43}), (Task("sweep", queue="low"), 60.0), Task("log", b"\xff", group="g")
    )
    with pytest.raises(AssertionError) as caught:
        keeper.assert_enqueued("mail", user_id=42)
    assert str(caught.value) == (
        "mail(user_id=42) was not enqueued.\n"
        "What was:\n"
        "  mail {\"user_id\":43} in queue 'default'\n"
        "  sweep without a payload in queue 'low', to run after 60 s\n"
        "  log \\xff in queue 'default', in group 'g'"
    )


async def test_the_message_says_how_often_it_was() -> None:
    keeper = await keeper_of(Task("mail", {"n": 1}), Task("mail", {"n": 2}))
    with pytest.raises(AssertionError, match=r"^mail\(\) was enqueued twice, not once\."):
        keeper.assert_enqueued("mail", count=1)
    with pytest.raises(AssertionError, match=r"^mail\(n=1\) was enqueued once, not 3 times\."):
        keeper.assert_enqueued("mail", n=1, count=3)
    with pytest.raises(AssertionError, match=r"^mail\(n=2\) was enqueued once\."):
        keeper.assert_not_enqueued("mail", n=2)


async def test_nothing_at_all_is_told_as_well() -> None:
    keeper = await keeper_of()
    with pytest.raises(AssertionError, match=r"^mail\(\) was not enqueued\. Nothing was\.$"):
        keeper.assert_enqueued("mail")


async def test_a_long_list_shows_the_last_ones() -> None:
    keeper = await keeper_of(*(Task("n", number) for number in range(30)))
    with pytest.raises(AssertionError, match="… 10 before these\n  n 10 in") as caught:
        keeper.assert_enqueued("mail")
    assert str(caught.value).count("\n") == 22


async def test_queue_and_delay_are_looked_at() -> None:
    keeper = await keeper_of((Task("mail", 1, queue="low"), 59.7))
    keeper.assert_enqueued("mail", queue="low", process_in="1m")
    keeper.assert_not_enqueued("mail", queue="default")
    keeper.assert_not_enqueued("mail", process_in=0)
    with pytest.raises(AssertionError, match="mail\\(\\) in queue 'high' to run after 3600 s was not"):
        keeper.assert_enqueued("mail", queue="high", process_in="1h")


async def test_to_count_none_there_is_another_assertion() -> None:
    keeper = await keeper_of()
    with pytest.raises(InvalidOptionError, match="assert_not_enqueued"):
        keeper.assert_enqueued("mail", count=0)


async def test_arguments_of_a_core_task_have_names() -> None:
    keeper = await keeper_of(Task("mail", [1]))
    with pytest.raises(TypeError, match="by name"):
        keeper.assert_enqueued("mail", 1)
    keeper.assert_not_enqueued("mail", user_id=1)  # an array has none


async def test_what_is_cleared_is_forgotten() -> None:
    keeper = await keeper_of(Task("mail"))
    keeper.clear()
    keeper.assert_not_enqueued("mail")
