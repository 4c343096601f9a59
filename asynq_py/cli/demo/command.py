"""`asynq-py demo`."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module

import click

from asynq_py.cli.commands import Command
from asynq_py.cli.failure import Code
from asynq_py.cli.output import console
from asynq_py.cli.settings import common, settings_of


@click.command(cls=Command)
@common
@click.pass_context
def demo(context: click.Context) -> None:
    """Run a mixed load and account for every task.

    It takes some ten seconds and needs no Redis: unless one is named, it runs on an embedded server. It keeps
    to queues of its own.
    """
    # by name: the help of the program must not wait for what draws the picture
    run = import_module("asynq_py.cli.demo.run")
    redis = settings_of(context).redis or "embedded://"
    balances = asyncio.run(run.main(console(sys.stdout), redis))
    context.exit(Code.DONE if balances else Code.FAILED)
