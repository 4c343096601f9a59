"""`asynq-py group`: groups in which tasks wait to be made one."""

from __future__ import annotations

import click

from asynq_py.cli.arguments import QUEUE
from asynq_py.cli.commands import Group
from asynq_py.cli.output import Table, print_blocks, print_json
from asynq_py.cli.settings import Settings, common, readable


@click.group(cls=Group)
@common
def group() -> None:
    """Look at groups, in which tasks wait to be made one."""


@group.command()
@QUEUE
@readable
@click.pass_obj
def ls(settings: Settings, queue: str) -> None:
    """List the groups of a queue and how many tasks wait in each."""
    groups = settings.inspect(lambda inspector: inspector.groups(queue))
    if settings.is_json:
        print_json({"queue": queue, "groups": groups})
    else:
        rows = [(info.group, info.size) for info in groups]
        print_blocks([Table(("group", "size"), rows, empty=f"no groups in queue {queue}")])
