"""`asynq-py flow`: flows of tasks, how they stand, and an end or a new beginning to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import click

import asynq_py
from asynq_py.cli.commands import Group
from asynq_py.cli.output import Block, Facts, Table, print_blocks, print_json
from asynq_py.cli.settings import Settings, common, readable, settings_of
from asynq_py.cli.several import complain, each
from asynq_py.cli.wording import NOTHING, instant, when

IDS: Final = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@click.group(cls=Group)
@common
def flow() -> None:
    """Look at flows, in which tasks follow each other, and steer them."""


@flow.command()
@click.option(
    "--page", type=click.IntRange(min=1), metavar="N", default=1, show_default=True, help="Which page."
)
@click.option(
    "--size", type=click.IntRange(1, 10_000), metavar="N", default=30, show_default=True,
    help="Flows on a page.",
)  # fmt: skip
@readable
@click.pass_obj
def ls(settings: Settings, page: int, size: int) -> None:
    """List flows that run, or ended lately."""
    flows = settings.inspect(lambda inspector: inspector.flows(page, size))
    if settings.is_json:
        print_json({"page": page, "size": size, "flows": flows})
        return
    now = datetime.now(UTC)
    rows = [
        (
            info.id,
            info.name,
            info.state,
            f"{info.done}/{info.total}",
            when(info.created_at, now),
            when(info.ended_at, now),
            info.error,
        )
        for info in flows
    ]
    columns = ("id", "name", "state", "done", "began", "ended", "error")
    print_blocks([Table(columns, rows, empty="there are no flows")])


@flow.command()
@IDS
@readable
@click.pass_context
def inspect(context: click.Context, ids: Sequence[str]) -> None:
    """Show flows with all their steps."""
    settings = settings_of(context)
    found, failed = settings.inspect(lambda inspector: each(ids, inspector.flow))
    if settings.is_json:
        print_json({"flows": list(found.values())})
    else:
        now = datetime.now(UTC)
        print_blocks([block for info in found.values() for block in _details(info, now)])
    complain(context, failed)


def _details(info: asynq_py.FlowInfo, now: datetime) -> list[Block]:
    pairs: list[tuple[str, str | None]] = [
        ("name", info.name),
        ("state", info.state),
        ("done", f"{info.done} of {info.total}"),
        ("began", _at(info.created_at, now)),
        ("ended", _at(info.ended_at, now)),
        ("failed in", info.failed_step),
        ("error", info.error),
    ]
    rows = [
        (step.id, step.type, step.state, ", ".join(step.after), step.queue, step.task_id)
        for step in info.steps
    ]
    return [
        Facts([pair for pair in pairs if pair[1] not in (None, NOTHING)], title=info.id),
        Table(("step", "type", "state", "after", "queue", "task"), rows),
    ]


def _at(at: datetime | None, now: datetime) -> str:
    return NOTHING if at is None else f"{instant(at)}, {when(at, now)}"


@flow.command()
@IDS
@common
@click.pass_context
def cancel(context: click.Context, ids: Sequence[str]) -> None:
    """End flows: delete the tasks that wait, ask workers to end those that run, enqueue nothing more."""
    done, failed = settings_of(context).inspect(lambda inspector: each(ids, inspector.cancel_flow))
    _tell(done, "cancelled", otherwise="had ended already")
    complain(context, failed)


@flow.command()
@IDS
@common
@click.pass_context
def retry(context: click.Context, ids: Sequence[str]) -> None:
    """Try the steps again in which flows have failed, and let them go on."""
    done, failed = settings_of(context).inspect(lambda inspector: each(ids, inspector.retry_flow))
    _tell(done, "goes on", otherwise="has not failed")
    complain(context, failed)


def _tell(done: Mapping[str, bool], what: str, *, otherwise: str) -> None:
    for name, is_done in done.items():
        click.echo(f"{name}: {what if is_done else otherwise}")
