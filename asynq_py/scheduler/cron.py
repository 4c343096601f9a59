"""When an entry is due: a spec becomes next times. Pure. Behaviour 12.2.

The grammar is that of the standard parser of robfig/cron v3. All times are Unix seconds.

Where clocks change, an entry that is due every hour goes on by real time. Any other means what a wall clock
shows: a time that a change leaves out is due once, at the first moment after the gap; one that comes twice is
due the first time only. (Go drops the former and runs the latter twice.)
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from asynq_py.errors import InvalidOptionError
from asynq_py.wire.go_text import parse_duration

YEARS_AHEAD: Final = 5  # a spec that matches nothing for longer never does, as in Go
_SLACK: Final = timedelta(hours=3)  # more than any clock is ever set back or forward, but for the date line
_SOON: Final = timedelta(days=1)

_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ALLOWED: Final = 'five fields such as "0 9 * * mon-fri", "@daily" or the like, or "@every 10m"'


class Schedule(Protocol):
    """What a spec means."""

    def next_after(self, at: float) -> int | None:
        """The first time after `at`; None: never within five years."""
        ...

    def closest(self, since: float, at: float) -> float:
        """Where to look from for times after `at`, when the last one was at `since`, before it."""
        ...

    @property
    def spacing(self) -> int:
        """Seconds that lie between two times at least, or 0 if times are fixed by the clock."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """A constant delay from one time to the next."""

    seconds: int

    def next_after(self, at: float) -> int | None:
        return int(at) + self.seconds

    def closest(self, since: float, at: float) -> float:
        return since + (at - since) // self.seconds * self.seconds

    @property
    def spacing(self) -> int:
        return self.seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """Times of the clock of one zone. `either_day`: day of month or day of week suffices."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    zone: ZoneInfo

    def next_after(self, at: float) -> int | None:
        here = datetime.fromtimestamp(int(at), self.zone).replace(tzinfo=None)
        slack = timedelta() if self._is_quiet(at) else _SLACK
        best: int | None = None
        stop: datetime | None = None
        for wall in self._wall_times(here - slack, here.year + YEARS_AHEAD):
            if stop is not None and wall > stop:
                break
            for moment in self._moments(wall):
                if moment > at and (best is None or moment < best):
                    best = moment
            if best is not None and stop is None:
                # one that reads later may come earlier
                stop = wall + (slack if wall - here < _SOON else _SLACK)
        return best

    def _is_quiet(self, at: float) -> bool:
        """Is the clock changed neither just before nor within a day?"""
        before = datetime.fromtimestamp(int(at) - _SLACK.seconds, self.zone)
        after = datetime.fromtimestamp(int(at) + _SOON.days * 86400 + _SLACK.seconds, self.zone)
        return before.utcoffset() == after.utcoffset()

    def closest(self, since: float, at: float) -> float:
        return max(since, at)

    @property
    def spacing(self) -> int:
        return 0

    def _wall_times(self, start: datetime, last_year: int) -> Iterator[datetime]:
        """Yield the times of the wall clock from `start` on, to the minute."""
        start = start.replace(second=0, microsecond=0)
        for day in self._dates(start.date(), last_year):
            for hour in self.hours:
                for minute in self.minutes:
                    wall = datetime(day.year, day.month, day.day, hour, minute)
                    if wall >= start:
                        yield wall

    def _dates(self, start: date, last_year: int) -> Iterator[date]:
        first = start.day
        for year in range(start.year, last_year + 1):
            for month in range(start.month if year == start.year else 1, 13):
                if month in self.months:
                    for day in range(first, monthrange(year, month)[1] + 1):
                        if self._is_on(found := date(year, month, day)):
                            yield found
                first = 1

    def _is_on(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    def _moments(self, wall: datetime) -> tuple[int, ...]:
        """When the clock shows this: mostly once."""
        first = wall.replace(tzinfo=self.zone)
        second = first.replace(fold=1)
        earlier, later = int(first.timestamp()), int(second.timestamp())
        if earlier == later:
            return (earlier,)
        by_real_time = len(self.hours) == 24
        if earlier < later:
            return (earlier, later) if by_real_time else (earlier,)
        return () if by_real_time else (self._change_between(later, earlier),)

    def _change_between(self, before: int, after: int) -> int:
        """The moment at which clocks are set forward."""
        old = datetime.fromtimestamp(before, self.zone).utcoffset()
        while after - before > 1:
            middle = (before + after) // 2
            if datetime.fromtimestamp(middle, self.zone).utcoffset() == old:
                before = middle
            else:
                after = middle
        return after


def parse(spec: str, timezone: str = "UTC") -> Schedule:
    """Read a spec. `timezone`: its zone, unless it names one itself.

    Raises: InvalidOptionError: not a spec, or an unknown zone.
    """
    if not isinstance(spec, str):
        raise InvalidOptionError("spec", spec, _ALLOWED)
    text = spec
    zone = load_zone("timezone", timezone)
    if prefix := re.match(r"(?:CRON_TZ|TZ)=([^ ]*)", text):
        rest = text[prefix.end() :]
        if not rest:
            raise InvalidOptionError("spec", spec, "a zone, a space and " + _ALLOWED)
        zone, text = load_zone("spec", prefix[1] or "UTC"), rest.strip()
    if text.startswith("@"):
        if text.startswith("@every "):
            return _every(spec, text.removeprefix("@every "))
        if text not in _DESCRIPTORS:
            raise InvalidOptionError("spec", spec, f"@every or one of {', '.join(_DESCRIPTORS)}")
        text = _DESCRIPTORS[text]
    return _cron(spec, text.split(), zone)


def load_zone(option: str, name: object) -> ZoneInfo:
    """Find a time zone. Raises: InvalidOptionError."""
    if isinstance(name, str):
        with suppress(OSError, ValueError, ZoneInfoNotFoundError):
            return ZoneInfo(name)
    raise InvalidOptionError(option, name, 'the name of a time zone such as "Europe/Paris"')


def _every(spec: str, text: str) -> Every:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InvalidOptionError("spec", spec, str(error)) from None
    return Every(max(int(seconds), 1))


class _Bounds(NamedTuple):
    name: str
    least: int
    most: int
    names: Mapping[str, int]


_MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: Final = (
    _Bounds("minute", 0, 59, {}),
    _Bounds("hour", 0, 23, {}),
    _Bounds("day of month", 1, 31, {}),
    _Bounds("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Bounds("day of week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


class _Field(NamedTuple):
    values: frozenset[int]
    is_any: bool


def _cron(spec: str, fields: list[str], zone: ZoneInfo) -> Cron:
    if len(fields) != len(_FIELDS):
        raise InvalidOptionError("spec", spec, _ALLOWED)
    minute, hour, day, month, weekday = (
        _field(spec, text, bounds) for text, bounds in zip(fields, _FIELDS, strict=True)
    )
    return Cron(
        minutes=tuple(sorted(minute.values)),
        hours=tuple(sorted(hour.values)),
        days=day.values,
        months=month.values,
        weekdays=weekday.values,
        either_day=not (day.is_any or weekday.is_any),
        zone=zone,
    )


def _field(spec: str, text: str, bounds: _Bounds) -> _Field:
    values: set[int] = set()
    is_any = False
    for item in text.split(","):
        found, is_star = _item(spec, item, bounds)
        values.update(found)
        is_any = is_any or is_star
    return _Field(frozenset(values), is_any)


def _item(spec: str, text: str, bounds: _Bounds) -> tuple[range, bool]:
    """`*`, `n` or `a-b`, and a step or none. A star with a step above one is a restriction, as in Go."""
    places, *steps = text.split("/")
    step = 1
    if steps and (len(steps) > 1 or not _is_number(steps[0]) or (step := int(steps[0])) == 0):
        raise InvalidOptionError("spec", spec, f"in {text!r}, a step such as */5")
    if places in ("*", "?"):
        return range(bounds.least, bounds.most + 1, step), step == 1
    ends = [_number(spec, place, bounds) for place in places.split("-")]
    if len(ends) > 2:
        raise InvalidOptionError("spec", spec, f"in {text!r}, a range such as 1-5")
    first, last = ends[0], ends[-1]
    if steps and len(ends) == 1:
        last = bounds.most
    if first > last:
        raise InvalidOptionError("spec", spec, f"in {text!r}, a range whose end is not before its beginning")
    return range(first, last + 1, step), False


def _number(spec: str, text: str, bounds: _Bounds) -> int:
    number = bounds.names.get(text.lower())
    if number is None and _is_number(text):
        number = int(text)
    if number is None or not bounds.least <= number <= bounds.most:
        names = f" or {' '.join(bounds.names)}" if bounds.names else ""
        raise InvalidOptionError(
            "spec", spec, f"as {bounds.name} {bounds.least}-{bounds.most}{names}, not {text!r}"
        )
    return number


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
