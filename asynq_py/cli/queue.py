"""`asynq-py queue`: look at queues, pause them, remove them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import click

import asynq_py
from asynq_py.cli.arguments import queue_names
from asynq_py.cli.commands import Group
from asynq_py.cli.consent import Consent, asking
from asynq_py.cli.output import Block, Facts, Table, print_blocks, print_json
from asynq_py.cli.settings import Settings, common, readable, settings_of
from asynq_py.cli.several import Verb, complain, do_each, each, show_each, tell_done
from asynq_py.cli.states import STATES, queue_infos
from asynq_py.cli.wording import share, size, span

NAMES = click.argument("names", metavar="QUEUE...", nargs=-1, required=True, shell_complete=queue_names)


@click.group(cls=Group)
@common
def queue() -> None:
    """Look at queues, pause them, remove them."""


# -- ls ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Cluster has a queue."""

    slot: int
    nodes: Sequence[asynq_py.ClusterNode]


@dataclass(frozen=True, slots=True)
class Listed:
    """`cluster`: empty where there is none."""

    queues: Sequence[asynq_py.QueueInfo]
    cluster: Mapping[str, Place]


async def gather(inspector: asynq_py.Inspector) -> Listed:
    """Look at all queues."""
    queues = await queue_infos(inspector)
    is_cluster = "cluster_state" in await inspector.redis_info()
    names = [info.queue for info in queues] if is_cluster else []
    return Listed(
        queues=queues,
        cluster={
            name: Place(await inspector.cluster_key_slot(name), await inspector.cluster_nodes(name))
            for name in names
        },
    )


@queue.command()
@readable
@click.pass_obj
def ls(settings: Settings) -> None:
    """List all queues; of a Cluster with slot and nodes."""
    found = settings.inspect(gather)
    if settings.is_json:
        print_json(found)
    else:
        print_blocks([_list(found)])


def _list(found: Listed) -> Table:
    columns = ["queue", "size", "pending", "active", "latency", "memory", "processed", "failed", "paused"]
    if found.cluster:
        columns += ["slot", "nodes"]
    rows: list[Sequence[str | int | None]] = []
    for info in found.queues:
        row: list[str | int | None] = [
            *(info.queue, info.size, info.pending, info.active, span(info.latency)),
            size(info.memory_usage),
            *(info.processed, info.failed, "paused" if info.is_paused else ""),
        ]
        if place := found.cluster.get(info.queue):
            row += [place.slot, ", ".join(f"{node.host}:{node.port}" for node in place.nodes)]
        rows.append(row)
    return Table(columns, rows, empty="there are no queues")


# -- inspect, history --------------------------------------------------------------------------------------


@queue.command()
@NAMES
@readable
@click.pass_context
def inspect(context: click.Context, names: Sequence[str]) -> None:
    """Show all there is to know of queues."""
    show_each(context, names, lambda inspector, name: inspector.queue_info(name), _details, under="queues")


def _details(info: asynq_py.QueueInfo) -> list[Block]:
    today = f"{info.processed} processed, {info.failed} failed ({share(info.failed, info.processed)})"
    return [
        Facts(
            [
                ("size", info.size),
                ("groups", info.groups),
                ("paused", "yes" if info.is_paused else "no"),
                ("latency", span(info.latency)),
                ("memory", size(info.memory_usage)),
                (f"today, {info.looked_at:%Y-%m-%d} UTC", today),
                ("in all", f"{info.processed_total} processed, {info.failed_total} failed"),
            ],
            title=info.queue,
        ),
        Table(STATES, [[getattr(info, name) for name in STATES]]),
    ]


@queue.command()
@NAMES
@click.option(
    "-x", "--days", type=click.IntRange(1, 366), metavar="N", default=10, show_default=True,
    help="How many; Redis keeps 90.",
)  # fmt: skip
@readable
@click.pass_context
def history(context: click.Context, names: Sequence[str], days: int) -> None:
    """Show what queues did on each of the last days (UTC), today first."""
    settings = settings_of(context)
    found, failed = settings.inspect(
        lambda inspector: each(names, lambda name: inspector.history(name, days))
    )
    if settings.is_json:
        print_json({"history": [day for history in found.values() for day in history]})
    else:
        print_blocks([_days(name, history) for name, history in found.items()])
    complain(context, failed)


def _days(name: str, history: Sequence[asynq_py.DailyStats]) -> Table:
    rows = [(f"{day.date}", day.processed, day.failed, share(day.failed, day.processed)) for day in history]
    return Table(("date", "processed", "failed", "error rate"), rows, title=name)


# -- pause, unpause, rm ------------------------------------------------------------------------------------

PAUSE: Final = Verb("pause", "paused", lambda inspector, name: inspector.pause_queue(name))
UNPAUSE: Final = Verb("unpause", "unpaused", lambda inspector, name: inspector.unpause_queue(name))


@queue.command()
@NAMES
@readable
@click.pass_context
def pause(context: click.Context, names: Sequence[str]) -> None:
    """Let no server fetch from queues. What runs goes on, and tasks can be enqueued."""
    do_each(context, PAUSE, names)


@queue.command()
@NAMES
@readable
@click.pass_context
def unpause(context: click.Context, names: Sequence[str]) -> None:
    """Let servers fetch from queues again. Also: resume."""
    do_each(context, UNPAUSE, names)


@queue.command()
@NAMES
@click.option("-f", "--force", is_flag=True, help="With all tasks in them, but not while some are running.")
@asking
@readable
@click.pass_context
def rm(context: click.Context, names: Sequence[str], force: bool, yes: bool, dry_run: bool) -> None:
    """Remove queues with their counters. Also: remove, delete.

    A queue that has tasks is left alone without --force.
    """
    settings = settings_of(context)
    consent = Consent(yes, dry_run)
    verb = Verb("remove", "removed", lambda inspector, name: inspector.delete_queue(name, force=force))
    found, failed = settings.inspect(lambda inspector: each(names, inspector.queue_info))
    if consent.is_dry_run:
        tell_done(context, verb, [_with_tasks([info]) for info in found.values()], failed, is_dry_run=True)
        return
    if found:
        consent.ask(f"Remove {_with_tasks(list(found.values()))}")
    done, refused = settings.inspect(lambda inspector: each(list(found), partial(verb.one, inspector)))
    tell_done(context, verb, list(done), failed | refused)


def _with_tasks(infos: Sequence[asynq_py.QueueInfo]) -> str:
    tasks = sum(info.size for info in infos)
    names = ", ".join(info.queue for info in infos)
    return f"{names} with {tasks} {'task' if tasks == 1 else 'tasks'}"
