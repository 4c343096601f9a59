"""`asynq-py health`: does Redis answer, and does the worker of this host live? For probes."""

from __future__ import annotations

import asyncio

import click

import asynq_py.doctor as examining  # its names come when they are used
from asynq_py.cli.arguments import SPAN
from asynq_py.cli.commands import Command
from asynq_py.cli.failure import Code
from asynq_py.cli.output import print_blocks, print_json
from asynq_py.cli.settings import readable, settings_of


@click.command(cls=Command)
@click.option("--worker", is_flag=True, help="A server of this host must give signs of life, too.")
@click.option(
    "--liveness", is_flag=True,
    help="As --worker, but well while Redis is away: a restart would be no help then.",
)  # fmt: skip
@click.option("--host", metavar="NAME", help="With --worker: of this host instead.")
@click.option(
    "--pid", type=click.IntRange(1), metavar="N",
    help="With --worker: the server in this process. Default: the one that began last.",
)  # fmt: skip
@click.option(
    "--timeout", type=SPAN, metavar="DURATION", default=3.0, show_default=True, help="For all of it."
)
@readable
@click.pass_context
def health(
    context: click.Context, worker: bool, liveness: bool, host: str | None, pid: int | None, timeout: float
) -> None:
    """Tell whether Redis answers, and whether the worker lives. For the probes of containers.

    Exit code: 0 yes, 1 no.
    """
    settings = settings_of(context)
    found = asyncio.run(
        examining.look(
            settings.redis,
            worker=worker or liveness,
            needs_redis=not liveness,
            host=host,
            pid=pid,
            timeout=timeout,
        )
    )
    if settings.is_json:
        print_json(found)
    else:
        print_blocks([found.why])
    context.exit(Code.DONE if found.is_healthy else Code.FAILED)
