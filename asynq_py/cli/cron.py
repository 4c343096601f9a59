"""`asynq-py cron`: what schedulers enqueue again and again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click

import asynq_py
from asynq_py.cli.arguments import paged
from asynq_py.cli.commands import Group
from asynq_py.cli.output import Block, Table, print_blocks, print_json
from asynq_py.cli.settings import Settings, common, readable
from asynq_py.cli.wording import content, instant, span, when


@click.group(cls=Group)
@common
def cron() -> None:
    """Look at what schedulers enqueue again and again."""


@cron.command()
@readable
@click.pass_obj
def ls(settings: Settings) -> None:
    """List the entries of the schedulers that live, next first."""
    entries = settings.inspect(lambda inspector: inspector.scheduler_entries())
    if settings.is_json:
        print_json({"entries": entries})
    else:
        print_blocks([_entries(entries, datetime.now(UTC))])


def _entries(entries: Sequence[asynq_py.SchedulerEntryInfo], now: datetime) -> Table:
    rows = [
        (
            info.id,
            info.spec,
            info.type,
            content(info.payload),
            ", ".join(f"{name}={_value(value)}" for name, value in info.options.items()),
            when(info.next_enqueue_at, now),
            when(info.previous_enqueue_at, now),
        )
        for info in entries
    ]
    columns = ("entry", "spec", "type", "payload", "options", "next", "previous")
    return Table(columns, rows, empty="no scheduler has entries")


def _value(value: object) -> str:
    match value:
        case float():
            return span(value)
        case timedelta():
            return span(value.total_seconds())
        case datetime():
            return instant(value)
        case _:
            return str(value)


@cron.command()
@click.argument("entries", metavar="ENTRY...", nargs=-1, required=True)
@paged("How many.")
@readable
@click.pass_obj
def history(settings: Settings, entries: Sequence[str], page: int, size: int) -> None:
    """Show what entries have enqueued, newest first; at most the last 1 000 tasks are known."""

    async def gather(inspector: asynq_py.Inspector) -> dict[str, list[asynq_py.EnqueueEvent]]:
        return {
            entry: await inspector.list_scheduler_enqueue_events(entry, page, size)
            for entry in dict.fromkeys(entries)
        }

    found = settings.inspect(gather)
    if settings.is_json:
        print_json({"page": page, "size": size, "history": found})
    else:
        print_blocks([_events(entry, events) for entry, events in found.items()])


def _events(entry: str, events: Sequence[asynq_py.EnqueueEvent]) -> Block:
    rows = [(event.task_id, instant(event.enqueued_at)) for event in events]
    return Table(("task", "enqueued"), rows, title=entry, empty="nothing enqueued")
