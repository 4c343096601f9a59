"""`asynq-py task`: look at tasks, enqueue them, and steer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import click

import asynq_py
from asynq_py.cli.arguments import GROUP, QUEUE, TYPE, paged
from asynq_py.cli.commands import Group
from asynq_py.cli.enqueue import enqueue
from asynq_py.cli.failure import ConfigError
from asynq_py.cli.output import Block, Facts, Table, print_blocks, print_json
from asynq_py.cli.settings import Settings, common, readable
from asynq_py.cli.several import show_each
from asynq_py.cli.states import STATES, groups_of, is_of_type, page_of, walk
from asynq_py.cli.steer import archive, cancel, delete, run
from asynq_py.cli.wording import content, moment, span, when

# What is of interest in a list besides ID, type and payload, by state.
COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "active": ("worker",),
    "pending": (),
    "aggregating": ("group",),
    "scheduled": ("runs",),
    "retry": ("next try", "retried", "last failed", "last error"),
    "archived": ("last failed", "last error"),
    "completed": ("completed", "result"),
}


@click.group(cls=Group)
@common
def task() -> None:
    """Look at tasks, enqueue them, and steer them."""


# -- ls ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """`state`: None: each. `kind`: a type or a pattern of types; None: any."""

    queue: str
    state: str | None
    group: str | None
    kind: str | None
    page: int
    size: int


async def gather(inspector: asynq_py.Inspector, wanted: Wanted) -> list[asynq_py.TaskInfo]:
    """Look at a page of one state, or of each state."""
    found: list[asynq_py.TaskInfo] = []
    for state in STATES if wanted.state is None else [wanted.state]:
        if wanted.kind is not None:
            found += await _page_of_type(inspector, wanted, state)
        else:
            for group in await groups_of(inspector, wanted.queue, state, wanted.group):
                found += await page_of(inspector, wanted.queue, state, group, wanted.page, wanted.size)
    return found


async def _page_of_type(inspector: asynq_py.Inspector, wanted: Wanted, state: str) -> list[asynq_py.TaskInfo]:
    """Walk through the state, as Redis knows no types."""
    skipped, found = (wanted.page - 1) * wanted.size, list[asynq_py.TaskInfo]()
    async for info in walk(inspector, wanted.queue, state, wanted.group):
        if not is_of_type(info, wanted.kind):
            continue
        if skipped:
            skipped -= 1
        elif len(found) < wanted.size:
            found.append(info)
        else:
            break
    return found


@task.command()
@QUEUE
@click.option("-s", "--state", type=click.Choice(STATES), help="Of which state. Default: each.")
@GROUP
@TYPE
@paged("Tasks on a page, of each state.")
@readable
@click.pass_obj
def ls(
    settings: Settings,
    queue: str,
    state: str | None,
    group: str | None,
    kind: str | None,
    page: int,
    size: int,
) -> None:
    """List tasks, in the order in which Redis has them."""
    if group is not None and state != "aggregating":
        raise ConfigError("--group needs --state aggregating: only those tasks are in groups")
    wanted = Wanted(queue, state, group, kind, page, size)
    found = settings.inspect(lambda inspector: gather(inspector, wanted))
    if settings.is_json:
        print_json({"queue": queue, "page": page, "size": size, "tasks": found})
    else:
        print_blocks(_lists(found, queue, datetime.now(UTC)))


def _lists(found: Sequence[asynq_py.TaskInfo], queue: str, now: datetime) -> list[Block]:
    states = [state for state in STATES if any(info.state == state for info in found)]
    if not states:
        return [f"no such tasks in queue {queue}"]
    return [
        Table(
            ("id", "type", "payload", *COLUMNS[state]),
            [_row(info, COLUMNS[state], now) for info in found if info.state == state],
            title=state,
        )
        for state in states
    ]


def _row(info: asynq_py.TaskInfo, columns: Sequence[str], now: datetime) -> list[str | int | None]:
    more: dict[str, str | int | None] = {
        "worker": "lost" if info.is_orphaned else "",
        "group": info.group,
        "runs": when(info.next_process_at, now),
        "next try": when(info.next_process_at, now),
        "last error": info.last_error,
        "last failed": when(info.last_failed_at, now),
        "retried": f"{info.retried}/{info.max_retry}",
        "completed": when(info.completed_at, now),
        "result": content(info.result),
    }
    return [info.id, info.type, content(info.payload), *(more[name] for name in columns)]


# -- inspect -----------------------------------------------------------------------------------------------


@task.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@QUEUE
@readable
@click.pass_context
def inspect(context: click.Context, ids: Sequence[str], queue: str) -> None:
    """Show all there is to know of tasks."""
    details = partial(_details, now=datetime.now(UTC))
    show_each(
        context, ids, lambda inspector, task_id: inspector.task_info(queue, task_id), details, under="tasks"
    )


def _details(info: asynq_py.TaskInfo, *, now: datetime) -> list[Block]:
    progress = info.progress
    facts = Facts.known(
        [
            ("queue", info.queue),
            ("type", info.type),
            ("state", info.state),
            ("progress", None if progress is None else f"{progress}, {when(progress.at, now)}"),
            ("payload", content(info.payload)),
            *((f"header {name}", value) for name, value in info.headers.items()),
            ("retried", f"{info.retried} of {info.max_retry}"),
            ("timeout", None if info.timeout is None else span(info.timeout)),
            ("deadline", moment(info.deadline, now)),
            ("group", info.group),
            ("next try", moment(info.next_process_at, now)),
            ("last failed", moment(info.last_failed_at, now)),
            ("last error", info.last_error),
            ("completed", moment(info.completed_at, now)),
            ("kept for", span(info.retention) if info.retention else None),
            ("result", content(info.result)),
        ],
        title=info.id,
    )
    return [facts]


# -- the others --------------------------------------------------------------------------------------------

for command in (enqueue, cancel, run, archive, delete):
    task.add_command(command)
