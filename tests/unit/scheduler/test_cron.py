"""Specs and the times they mean: behaviour 12.2, and both changes of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asynq_py import InvalidOptionError
from asynq_py.scheduler.cron import Every, parse

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)  # a Friday


def times(spec: str, start: datetime, count: int, timezone: str = "UTC") -> list[str]:
    """The next times, as that zone's clock shows them."""
    schedule, at, found = parse(spec, timezone), start.timestamp(), []
    for _ in range(count):
        moment = schedule.next_after(at)
        assert moment is not None
        at = moment
        found.append(f"{datetime.fromtimestamp(at, ZoneInfo(timezone)):%m-%d %H:%M %z}")
    return found


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("* * * * *", "2026-01-02 03:05"),
        ("? ? ? ? ?", "2026-01-02 03:05"),
        ("4 3 * * *", "2026-01-03 03:04"),
        ("5 3 * * *", "2026-01-02 03:05"),
        ("*/15 * * * *", "2026-01-02 03:15"),
        ("7/20 * * * *", "2026-01-02 03:07"),
        ("50/20 * * * *", "2026-01-02 03:50"),
        ("10-30/10 4 * * *", "2026-01-02 04:10"),
        ("0 9,17 * * *", "2026-01-02 09:00"),
        ("0 9 * * mon-fri", "2026-01-02 09:00"),
        ("0 2 * * MON-Fri", "2026-01-05 02:00"),
        ("0 0 * * 0", "2026-01-04 00:00"),
        ("0 0 1 feb,Mar *", "2026-02-01 00:00"),
        ("0 0 31 * *", "2026-01-31 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 0 13 * 5", "2026-01-09 00:00"),  # both restricted: either suffices
        ("0 0 */13 * 1", "2026-01-05 00:00"),  # a star with a step restricts, too
        ("0 0 */1 * 1", "2026-01-05 00:00"),
        ("0 0 13 * ?", "2026-01-13 00:00"),
        ("0 0 13 * *,5", "2026-01-13 00:00"),
        ("0 0 ? * 1", "2026-01-05 00:00"),
        ("0 0 1-31 * 1", "2026-01-03 00:00"),  # all days, but no star: either suffices
        ("0 0 13 * 0-6", "2026-01-03 00:00"),
        ("0-0/2 * * * *", "2026-01-02 04:00"),  # a range of one is no "from 0 on"
        ("*/40 3 * * *", "2026-01-02 03:40"),
        ("  0   0\t1 1  *  ", "2027-01-01 00:00"),
        ("05 04 03 02 *", "2026-02-03 04:05"),
        ("@yearly", "2027-01-01 00:00"),
        ("@annually", "2027-01-01 00:00"),
        ("@monthly", "2026-02-01 00:00"),
        ("@weekly", "2026-01-04 00:00"),
        ("@daily", "2026-01-03 00:00"),
        ("@midnight", "2026-01-03 00:00"),
        ("@hourly", "2026-01-02 04:00"),
        ("CRON_TZ=Asia/Tokyo 0 9 * * *", "2026-01-03 00:00"),
        ("TZ=Asia/Tokyo 30 12 * * *", "2026-01-02 03:30"),
        ("TZ=Asia/Tokyo @daily", "2026-01-02 15:00"),
        ("TZ= @daily", "2026-01-03 00:00"),
    ],
)
def test_a_spec_means_what_it_means_to_go(spec: str, expected: str) -> None:
    moment = parse(spec).next_after(START.timestamp())
    assert moment is not None
    assert f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    "spec",
    [
        "", " ", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *",
        "* * * 13 *", "* * * * 7", "-1 * * * *", "5-1 * * * *", "1-2-3 * * * *", "*/0 * * * *",
        "*/-1 * * * *", "*/x * * * *", "1/2/3 * * * *", "a * * * *", "* * * foo *", "mon * * * *",
        "* * * * january", "1,,2 * * * *", "*-5 * * * *", "\u0661 * * * *", "@dayly", "@Daily", "@every",
        "@every ", "@every x", "@every 5", "@every -5s", "@every 1d", "TZ=Asia/Tokyo", "CRON_TZ=UTC",
        "TZ=Mars 0 9 * * *",
        "TZ=../etc/passwd 0 9 * * *", "TZ=Local 0 9 * * *", "TZ=UTC ", "@every 1h TZ=UTC",
        "@every 9999999h", f"@every {'9' * 90}h",
    ],
)  # fmt: skip
def test_what_is_no_spec_is_refused_and_named(spec: str) -> None:
    with pytest.raises(InvalidOptionError) as refused:
        parse(spec)
    assert refused.value.option == "spec"


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "/etc/localtime", None, 3])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidOptionError, match="timezone"):
        parse("@daily", zone)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1h30m", 5400), ("1.5h", 5400), ("1m0.9s", 60), ("100ms", 1), ("0", 1), ("1500ms", 1)],
)
def test_every_is_a_constant_delay_in_whole_seconds_of_one_at_least(text: str, seconds: int) -> None:
    schedule = parse(f"@every {text}")
    assert schedule == Every(seconds)
    assert schedule.next_after(100.7) == 100 + seconds


def test_a_delay_goes_on_from_its_last_time() -> None:
    assert Every(30).closest(1000, 1000 + 95) == 1090


def test_what_matches_nothing_within_five_years_never_comes() -> None:
    assert parse("0 0 30 2 *").next_after(START.timestamp()) is None
    assert parse("0 0 29 2 *").next_after(datetime(2097, 1, 1, tzinfo=UTC).timestamp()) is None


# -- the clock is changed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "spec", "expected"),
    [
        # forward: what is left out comes at the first moment after the gap, once
        ("America/New_York", "2026-03-07 12:00", "30 2 * * *", ["03-08 03:00 -0400", "03-09 02:30 -0400"]),
        ("Europe/Paris", "2026-03-28 12:00", "0,15,30 2 * * *", ["03-29 03:00 +0200", "03-30 02:00 +0200"]),
        ("Europe/Paris", "2026-03-28 12:00", "0 2,3 * * *", ["03-29 03:00 +0200", "03-30 02:00 +0200"]),
        ("Australia/Lord_Howe", "2026-10-03 12:00", "15 2 * * *", ["10-04 02:30 +1100", "10-05 02:15 +1100"]),
        ("Africa/Cairo", "2026-04-23 12:00", "@daily", ["04-24 01:00 +0300", "04-25 00:00 +0300"]),
        # back: what comes twice is due the first time only
        ("America/New_York", "2026-10-31 12:00", "30 1 * * *", ["11-01 01:30 -0400", "11-02 01:30 -0500"]),
        ("Europe/Paris", "2026-10-24 12:00", "30 2 * * *", ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
        ("Africa/Cairo", "2026-10-29 12:00", "30 23 * * *", ["10-29 23:30 +0300", "10-30 23:30 +0200"]),
        # every hour: by real time
        (
            "America/New_York", "2026-03-08 00:30", "@hourly",
            ["03-08 01:00 -0500", "03-08 03:00 -0400", "03-08 04:00 -0400"],
        ),
        (
            "America/New_York", "2026-11-01 00:30", "@hourly",
            ["11-01 01:00 -0400", "11-01 01:00 -0500", "11-01 02:00 -0500"],
        ),
        (
            "Europe/Paris", "2026-10-25 02:10", "*/30 0-23 * * *",
            ["10-25 02:30 +0200", "10-25 02:00 +0100", "10-25 02:30 +0100", "10-25 03:00 +0100"],
        ),
        (
            "Australia/Lord_Howe", "2026-04-05 01:10", "*/30 * * * *",
            ["04-05 01:30 +1100", "04-05 01:30 +1030", "04-05 02:00 +1030"],
        ),
        (
            "Australia/Lord_Howe", "2026-04-05 01:10", "30 * * * *",
            ["04-05 01:30 +1100", "04-05 01:30 +1030", "04-05 02:30 +1030"],
        ),
        ("Africa/Cairo", "2026-10-29 22:30", "@hourly", ["10-29 23:00 +0300", "10-29 23:00 +0200"]),
        # the day that Samoa did not have
        ("Pacific/Apia", "2011-12-29 12:00", "0 9 * * *", ["12-31 00:00 +1400", "12-31 09:00 +1400"]),
    ],
)  # fmt: skip
def test_a_change_of_the_clock_neither_loses_nor_doubles(
    zone: str, day: str, spec: str, expected: list[str]
) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    assert times(spec, start, len(expected), zone) == expected


def test_from_within_the_second_pass_of_the_clock_the_next_time_is_found() -> None:
    start = datetime(2026, 10, 25, 2, 40, tzinfo=ZoneInfo("Europe/Paris"), fold=1)
    assert times("50 2,3 * * *", start, 2, "Europe/Paris") == ["10-25 03:50 +0100", "10-26 02:50 +0100"]


def test_a_delay_knows_no_change_of_the_clock() -> None:
    start = datetime(2026, 3, 8, 1, 30, tzinfo=ZoneInfo("America/New_York"))
    assert times("@every 1h", start, 2, "America/New_York") == ["03-08 03:30 -0400", "03-08 04:30 -0400"]


# -- against the definition ---------------------------------------------------------------------------------


def _fields(least: int, most: int) -> st.SearchStrategy[str]:
    numbers = st.integers(least, most)
    ranges = st.lists(numbers, min_size=2, max_size=2, unique=True).map(lambda two: f"{min(two)}-{max(two)}")
    steps = st.tuples(
        st.one_of(st.just("*"), numbers.map(str), ranges), st.integers(2, 9)
    ).map(lambda two: f"{two[0]}/{two[1]}")  # fmt: skip
    lists = st.lists(st.one_of(numbers.map(str), ranges, steps), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.sampled_from(["*", "?", "*/1"]), lists)


def _numbers(text: str, least: int, most: int) -> set[int]:
    """What a field without names means."""
    found: set[int] = set()
    for item in text.split(","):
        places, _, step = item.partition("/")
        first, _, last = places.partition("-")
        if places in ("*", "?"):
            first, last = str(least), str(most)
        elif not last:
            last = str(most) if step else first
        found.update(range(int(first), int(last) + 1, int(step or 1)))
    return found


def _minutes_that_match(spec: str, start: datetime) -> Iterator[datetime]:
    """Look at each day of four years, and at each minute of those that match."""
    minutes, hours, days, months, weekdays = (
        _numbers(text, least, most)
        for text, least, most in zip(spec.split(), (0, 0, 1, 1, 0), (59, 23, 31, 12, 6), strict=True)
    )
    either = not any({"*", "?", "*/1"} & set(spec.split()[place].split(",")) for place in (2, 4))
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight + timedelta(days=n) for n in range(4 * 365)):
        by_day = (day.day in days, day.isoweekday() % 7 in weekdays)
        if day.month in months and (any(by_day) if either else all(by_day)):
            for moment in (day + timedelta(minutes=n) for n in range(24 * 60)):
                if moment > start and moment.hour in hours and moment.minute in minutes:
                    yield moment


SPECS = st.tuples(_fields(0, 59), _fields(0, 23), _fields(1, 31), _fields(1, 12), _fields(0, 6)).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(spec=SPECS, start=st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)))
def test_in_utc_the_times_are_those_at_which_all_fields_match(spec: str, start: datetime) -> None:
    schedule, at = parse(spec), start.replace(tzinfo=UTC).timestamp()
    for expected in islice(_minutes_that_match(spec, start.replace(tzinfo=UTC)), 5):
        moment = schedule.next_after(at)
        assert moment == expected.timestamp()
        assert moment is not None
        at = moment


CHANGES = [
    ("America/New_York", "2026-03-08"), ("America/New_York", "2026-11-01"), ("Europe/Paris", "2026-03-29"),
    ("Europe/Paris", "2026-10-25"), ("Australia/Lord_Howe", "2026-04-05"), ("Africa/Cairo", "2026-10-30"),
    ("Australia/Lord_Howe", "2026-10-04"), ("Africa/Cairo", "2026-04-24"), ("Asia/Kathmandu", "2026-01-01"),
]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    minutes_before=st.integers(-180, 240),
    minute=_fields(0, 59),
    hour=st.one_of(st.just("*"), st.just("0-4"), _fields(0, 23)),
)
def test_around_a_change_the_times_are_those_one_finds_minute_by_minute(
    change: tuple[str, str], minutes_before: int, minute: str, hour: str
) -> None:
    name, day = change
    zone = ZoneInfo(name)
    middle = datetime.fromisoformat(day).replace(tzinfo=zone).timestamp()
    schedule = parse(f"{minute} {hour} * * *", name)
    start, end = int(middle) - 60 * minutes_before, int(middle + 6 * 3600)
    found, at = set(), float(start)
    while (moment := schedule.next_after(at)) is not None and moment <= end:
        assert moment > at
        found.add(moment)
        at = moment
    minutes, hours = _numbers(minute, 0, 59), _numbers(hour, 0, 23)
    assert found == _minute_by_minute(minutes, hours, zone, start, end)


def _minute_by_minute(minutes: set[int], hours: set[int], zone: ZoneInfo, start: int, end: int) -> set[int]:
    """Look at the clock each minute, and tell from what it showed before what is new or was left out."""
    shown: set[datetime] = set()
    due: set[int] = set()
    before: datetime | None = None
    for moment in range(start - 4 * 3600, end + 60, 60):
        wall = datetime.fromtimestamp(moment, zone).replace(tzinfo=None)
        passed = [wall]
        if len(hours) < 24:
            if before is not None and wall > before + timedelta(minutes=1):
                gap = int((wall - before).total_seconds()) // 60
                passed = [before + timedelta(minutes=n) for n in range(1, gap + 1)]
            passed = [time for time in passed if time not in shown]
        if any(time.minute in minutes and time.hour in hours for time in passed):
            due.add(moment)
        shown.add(wall)
        before = wall
    return {moment for moment in due if start < moment <= end}
