"""What may be written on a command line: spans, instants, weights of queues; and how it is completed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

import asynq_py
from asynq_py.cli.settings import Settings

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

COMPLETION_TIMEOUT: Final = 1.0  # seconds that one who presses TAB will wait
LONGEST_SECONDS: Final = 10**12  # no option allows as much; an int from a file may be beyond any float
LONGEST_SPAN: Final = 100  # characters that a span may have
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)


class Span(click.ParamType[float]):
    """`90`, `90s`, `1h30m`, `1.5h`, `250ms`: seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(min(value, LONGEST_SECONDS))
        text = str(value).strip()
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            return float(text)
        parts = _PART.findall(text[:LONGEST_SPAN])
        if not parts or "".join(map("".join, parts)) != text:
            self.fail(f"{text!r} is no duration such as 90, 90s, 1h30m or 250ms", param, ctx)
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)


class Instant(click.ParamType[datetime]):
    """`2026-01-31T12:00:00Z`, as RFC 3339 has it."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-01-31T12:00:00Z", param, ctx)
        if at.tzinfo is None:
            self.fail(f"{value!r} needs a time zone, as in 2026-01-31T12:00:00Z or …+02:00", param, ctx)
        try:
            return at.astimezone(UTC)
        except OverflowError:
            self.fail(f"{value!r} is before the year 1 or after 9999 in UTC", param, ctx)


class Weights(click.ParamType[dict[str, int]]):
    """`critical=6,default=3,low`: weights of queues; a name alone weighs 1."""

    name = "queues"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, int]:
        if isinstance(value, Mapping):
            return dict(value)
        given = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        weights: dict[str, int] = {}
        for part in map(str.strip, given.split(",")):
            name, weight = _weighted(part)
            if not name or not re.fullmatch(r"[1-9]\d{0,8}", weight, re.ASCII):
                self.fail(f"{part!r} is neither a queue nor one with its weight, such as low=1", param, ctx)
            weights[name] = int(weight)
        return weights


def _weighted(part: str) -> tuple[str, str]:
    name, equals, weight = part.rpartition("=")
    return (name.strip(), weight.strip()) if equals else (part, "1")


SPAN: Final = Span()
INSTANT: Final = Instant()
WEIGHTS: Final = Weights()


# -- completion --------------------------------------------------------------------------------------------


def queue_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a queue."""
    return [
        name for name in _asked(context, lambda inspector: inspector.queues()) if name.startswith(incomplete)
    ]


def group_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a group of the queue that is named already."""
    queue = str(context.params.get("queue") or "default")

    async def names(inspector: asynq_py.Inspector) -> list[str]:
        return [info.group for info in await inspector.groups(queue)]

    return [name for name in _asked(context, names) if name.startswith(incomplete)]


def _asked(context: click.Context, ask: Callable[[asynq_py.Inspector], Awaitable[list[str]]]) -> list[str]:
    """Ask Redis for names. Whatever goes wrong, there is just nothing to complete."""
    settings = context.find_root().ensure_object(Settings)

    async def in_time(inspector: asynq_py.Inspector) -> list[str]:
        async with asyncio.timeout(COMPLETION_TIMEOUT):
            return await ask(inspector)

    try:
        return settings.inspect(in_time)
    except (asynq_py.AsynqError, OSError, TimeoutError):
        return []


# -- options that several commands have --------------------------------------------------------------------

QUEUE: Final = click.option(
    "-q", "--queue", default="default", show_default=True, metavar="NAME", shell_complete=queue_names,
    help="In which queue.",
)  # fmt: skip
GROUP: Final = click.option(
    "-g", "--group", metavar="NAME", shell_complete=group_names,
    help="With --state aggregating: of which group. Default: each.",
)  # fmt: skip
TYPE: Final = click.option(
    "-t", "--type", "kind", metavar="PATTERN", help="Only tasks of a type, as in email:welcome or 'email:*'."
)


def paged(sizes: str) -> Callable[[Decorated], Decorated]:
    """Give a command `--page` and `--size`. `sizes`: what the help says of the second."""
    page = click.option(
        "--page", type=click.IntRange(min=1), metavar="N", default=1, show_default=True, help="Which page."
    )
    size = click.option(
        "--size", type=click.IntRange(1, 10_000), metavar="N", default=30, show_default=True, help=sizes
    )
    return lambda command: page(size(command))
