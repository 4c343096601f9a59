"""Which times of an entry are due, and what an entry is called."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from asynq_py import InvalidOptionError, Scheduler, Task, TaskOptions
from asynq_py.options import DEFAULTS
from asynq_py.scheduler.cron import Schedule, parse
from asynq_py.scheduler.entry import PROMPT, Entry, Missed, check_missed, identity

NOON = int(datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp())
HOUR = 3600


def entry(spec: str, missed: Missed = "once", *, last: float = NOON) -> Entry:
    made = Entry("e", spec, parse(spec), Task("t"), missed)
    made.advance(last)
    return made


@pytest.mark.parametrize("missed", ["skip", "once", 3])
def test_a_time_is_due_when_it_has_come(missed: Missed) -> None:
    hourly = entry("@hourly", missed)
    assert hourly.due(NOON + HOUR - 1, within=HOUR) == []
    assert hourly.due(NOON + HOUR, within=HOUR) == [NOON + HOUR]
    assert hourly.due(NOON + HOUR + PROMPT, within=HOUR) == [NOON + HOUR]
    hourly.advance(NOON + HOUR)
    assert hourly.due(NOON + HOUR + 1, within=HOUR) == []
    assert hourly.next == NOON + 2 * HOUR


@pytest.mark.parametrize(
    ("spec", "missed", "expected"),
    [
        ("@hourly", "skip", []),
        ("@hourly", "once", [3]),
        ("@hourly", 1, [3]),
        ("@hourly", 2, [2, 3]),
        ("@hourly", 9, [1, 2, 3]),
        ("@every 1h", "skip", []),
        ("@every 1h", "once", [3]),
        ("@every 1h", 2, [2, 3]),
    ],
)
def test_of_the_times_that_were_missed_the_policy_decides(
    spec: str, missed: Missed, expected: list[int]
) -> None:
    late = entry(spec, missed)
    assert late.due(NOON + 3 * HOUR + 60, within=24 * HOUR) == [NOON + n * HOUR for n in expected]


@pytest.mark.parametrize("spec", ["@hourly", "@every 1h"])
def test_what_was_missed_too_long_ago_is_let_go(spec: str) -> None:
    late = entry(spec, 9)
    assert late.due(NOON + 3 * HOUR + 60, within=HOUR + 60) == [NOON + 2 * HOUR, NOON + 3 * HOUR]
    assert late.due(NOON + 3 * HOUR + 60, within=30) == []
    assert late.next == NOON + 4 * HOUR  # and the entry goes on


def test_years_without_a_scheduler_are_passed_over_at_once() -> None:
    late = entry("@every 1s", 3)
    now = NOON + 9 * 365 * 24 * HOUR
    assert late.due(now, within=60) == [now - 2, now - 1, now]


@pytest.mark.parametrize(("spec", "missed", "most"), [("* * * * *", "once", 10), ("@hourly", 3, 30)])
def test_a_long_absence_costs_no_more_than_the_times_that_are_made_up(
    spec: str, missed: Missed, most: int
) -> None:
    late, year = entry(spec, missed), 365 * 24 * HOUR
    late.schedule = Counting(late.schedule)
    found = late.due(NOON + year + 30, within=2 * year)
    assert found[-1] == NOON + year
    assert late.schedule.asked < most


class Counting:
    """A schedule that counts how often it is asked."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.asked = 0

    def next_after(self, at: float) -> int | None:
        self.asked += 1
        return self._schedule.next_after(at)

    def closest(self, since: float, at: float) -> float:
        return self._schedule.closest(since, at)

    @property
    def spacing(self) -> int:
        return self._schedule.spacing


def test_a_spec_that_never_matches_is_never_due() -> None:
    assert entry("0 0 30 2 *").due(NOON + 400 * 24 * HOUR, within=HOUR) == []


@pytest.mark.parametrize("missed", ["all", "", 0, -1, True, 1.5, 10_001])
def test_a_policy_that_there_is_not_is_refused(missed: object) -> None:
    with pytest.raises(InvalidOptionError, match="missed"):
        check_missed(missed)


# -- what it is called --------------------------------------------------------------------------------------

TASK = Task("t", b"p", headers={"a": "1", "b": "2"})


def test_an_entry_has_one_name_everywhere() -> None:
    again = Task("t", b"p", headers={"b": "2", "a": "1"})
    assert identity("@daily", "UTC", TASK, DEFAULTS) == identity("@daily", "UTC", again, DEFAULTS)
    assert identity("@daily", "UTC", TASK, DEFAULTS) == "13192ed9362c588f3af9fe93f6ba98e7"


@pytest.mark.parametrize(
    ("spec", "timezone", "task", "given"),
    [
        ("@hourly", "UTC", TASK, {}),
        ("@daily", "Asia/Tokyo", TASK, {}),
        ("@daily", "UTC", Task("u", b"p", headers=TASK.headers), {}),
        ("@daily", "UTC", Task("t", b"q", headers=TASK.headers), {}),
        ("@daily", "UTC", Task("t", headers=TASK.headers), {}),
        ("@daily", "UTC", Task("t", b"", headers=TASK.headers), {}),
        ("@daily", "UTC", Task("t", b"p"), {}),
        ("@daily", "UTC", TASK, {"queue": "low"}),
        ("@daily", "UTC", TASK, {"max_retry": 0}),
    ],
)
def test_what_differs_in_anything_has_another_name(
    spec: str, timezone: str, task: Task, given: TaskOptions
) -> None:
    other = identity(spec, timezone, task, DEFAULTS.override(given))
    assert other != identity("@daily", "UTC", TASK, DEFAULTS)


# -- registering --------------------------------------------------------------------------------------------


def test_what_cannot_be_registered_is_refused_and_named() -> None:
    scheduler = Scheduler("redis://nowhere", payload_limit=3)
    scheduler.register("@daily", TASK, name="mine")
    with pytest.raises(InvalidOptionError, match="spec"):
        scheduler.register("@dayly", TASK)
    with pytest.raises(InvalidOptionError, match="timezone"):
        scheduler.register("@daily", TASK, timezone="Mars")
    with pytest.raises(InvalidOptionError, match="missed"):
        scheduler.register("@daily", TASK, missed=0)
    with pytest.raises(InvalidOptionError, match="queue"):
        scheduler.register("@daily", TASK, queue="")
    with pytest.raises(InvalidOptionError, match="payload"):
        scheduler.register("@daily", Task("t", b"four"))
    with pytest.raises(InvalidOptionError, match="name"):
        scheduler.register("@hourly", TASK, name="mine")
    with pytest.raises(InvalidOptionError, match="entry_id"):
        scheduler.unregister("unknown")
    with pytest.raises(InvalidOptionError, match="timezone"):
        Scheduler(timezone="Mars")
