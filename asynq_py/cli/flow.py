"""`asynq-py flow`: flows of tasks, how they stand, and an end or a new beginning to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import click

import asynq_py
from asynq_py.cli.arguments import paged
from asynq_py.cli.commands import Group
from asynq_py.cli.consent import Consent, asking
from asynq_py.cli.output import Block, Facts, Table, print_blocks, print_json
from asynq_py.cli.settings import Settings, common, readable, settings_of
from asynq_py.cli.several import RefusedError, Verb, do_each, each, show_each, tell_done
from asynq_py.cli.wording import moment, when

IDS: Final = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@click.group(cls=Group)
@common
def flow() -> None:
    """Look at flows, in which tasks follow each other, and steer them."""


@flow.command()
@paged("Flows on a page.")
@readable
@click.pass_obj
def ls(settings: Settings, page: int, size: int) -> None:
    """List flows that run, or ended lately."""
    flows = settings.inspect(lambda inspector: inspector.flows(page, size))
    if settings.is_json:
        print_json({"page": page, "size": size, "flows": flows})
    else:
        print_blocks([_list(flows, datetime.now(UTC))])


def _list(flows: Sequence[asynq_py.FlowInfo], now: datetime) -> Table:
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
    return Table(columns, rows, empty="there are no flows")


@flow.command()
@IDS
@readable
@click.pass_context
def inspect(context: click.Context, ids: Sequence[str]) -> None:
    """Show flows with all their steps."""
    details = partial(_details, now=datetime.now(UTC))
    show_each(context, ids, lambda inspector, flow_id: inspector.flow(flow_id), details, under="flows")


def _details(info: asynq_py.FlowInfo, *, now: datetime) -> list[Block]:
    facts = Facts.known(
        [
            ("name", info.name),
            ("state", info.state),
            ("done", f"{info.done} of {info.total}"),
            ("began", moment(info.created_at, now)),
            ("ended", moment(info.ended_at, now)),
            ("failed in", info.failed_step),
            ("error", info.error),
        ],
        title=info.id,
    )
    rows = [
        (step.id, step.type, step.state, ", ".join(step.after), step.queue, step.task_id)
        for step in info.steps
    ]
    return [facts, Table(("step", "type", "state", "after", "queue", "task"), rows)]


def _ended(flow_id: str) -> asynq_py.AsynqError:
    return RefusedError(f"flow {flow_id!r} had ended already")


async def _cancel(inspector: asynq_py.Inspector, flow_id: str) -> None:
    if not await inspector.cancel_flow(flow_id):
        raise _ended(flow_id)


async def _retry(inspector: asynq_py.Inspector, flow_id: str) -> None:
    if not await inspector.retry_flow(flow_id):
        raise RefusedError(f"flow {flow_id!r} has not failed")


CANCEL: Final = Verb("cancel", "cancelled", _cancel)
RETRY: Final = Verb("retry", "retried", _retry)


@flow.command()
@IDS
@asking
@readable
@click.pass_context
def cancel(context: click.Context, ids: Sequence[str], yes: bool, dry_run: bool) -> None:
    """End flows: delete the tasks that wait, ask workers to end those that run, enqueue nothing more."""
    settings = settings_of(context)
    consent = Consent(yes, dry_run)
    found, failed = settings.inspect(lambda inspector: each(ids, lambda flow_id: inspector.flow(flow_id)))
    running = {flow_id: info for flow_id, info in found.items() if info.state is asynq_py.FlowState.RUNNING}
    if consent.is_dry_run:
        ended = {flow_id: _ended(flow_id) for flow_id in found if flow_id not in running}
        tell_done(context, CANCEL, list(running), failed | ended, is_dry_run=True)
        return
    if running:
        left = sum(info.total - info.done for info in running.values())
        consent.ask(f"Cancel {', '.join(running)} with {left} {'step' if left == 1 else 'steps'} to go")
    # those that have ended, too: perhaps somebody who cancelled one did not come to its steps
    done, refused = settings.inspect(lambda inspector: each(list(found), partial(_cancel, inspector)))
    tell_done(context, CANCEL, list(done), failed | refused)


@flow.command()
@IDS
@readable
@click.pass_context
def retry(context: click.Context, ids: Sequence[str]) -> None:
    """Try the steps again in which flows have failed, and let them go on."""
    do_each(context, RETRY, ids)
