"""When an entry is due: a spec becomes next times. Pure. Behaviour 12.2.

The grammar is that of the standard parser of robfig/cron v3, read here into plain numbers; the times are
found by cronsim. All times are Unix seconds.

Where clocks change, an entry that is due every hour goes on by real time. Any other means what a wall clock
shows: a time that a change leaves out is due once, at the first moment after the gap; one that comes twice is
due the first time only. (Go drops the former and runs the latter twice.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from asynq_py.errors import InvalidOptionError
from asynq_py.options import LONGEST
from asynq_py.wire.go_text import parse_duration

YEARS_AHEAD: Final = 5  # a spec that matches nothing for longer never does, as in Go
_HOUR: Final = 3600

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
    """Times of the clock of one zone. `fields`: five, as cronsim reads them."""

    fields: str
    zone: tzinfo

    def next_after(self, at: float) -> int | None:
        moment = self._search(at, int(at))
        if moment is not None and (before := moment - _HOUR) > at and self._is_set_just_before(moment):
            # cronsim leaps by hours, and so too far where clocks go back by half of one (Lord Howe Island)
            return before if self._search(at, before - 1) == before else moment
        return moment

    def closest(self, since: float, at: float) -> float:
        return max(since, at)

    @property
    def spacing(self) -> int:
        return 0

    def _search(self, at: float, look: int) -> int | None:
        """The first time after `at`, looking from `look` on."""
        last_year = datetime.fromtimestamp(look, self.zone).year + YEARS_AHEAD
        while (found := self._next_after(look)) is not None and found.year <= last_year:
            if (moment := int(found.timestamp())) > at:
                return moment
            look += 60  # the clock was set back: this time was due before, so look for the one behind it
        return None

    def _is_set_just_before(self, moment: int) -> bool:
        earlier, now = (datetime.fromtimestamp(at, self.zone) for at in (moment - 2 * _HOUR, moment))
        return earlier.utcoffset() != now.utcoffset()

    def _next_after(self, at: int) -> datetime | None:
        try:
            return next(CronSim(self.fields, datetime.fromtimestamp(at, self.zone)), None)
        except CronSimError:  # how it refuses the 30th of February
            return None


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
    if seconds > LONGEST:
        raise InvalidOptionError("spec", spec, "at most 100 years")
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
    # To cronsim a star says more than its numbers. As a day it means that both days must match, as to Go; as
    # minute or hour it means real time, which we ask for only if the entry is due in each hour.
    texts = (
        _list(minute),
        "*" if len(hour.values) == 24 else _list(hour),
        "*" if day.is_any else _list(day),
        _list(month),
        "*" if weekday.is_any else _list(weekday),
    )
    return Cron(" ".join(texts), UTC if zone.key == "UTC" else zone)


def _list(field: _Field) -> str:
    return ",".join(map(str, sorted(field.values)))


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
