"""`asynq-py worker`: serve queues in one process or several, and begin again when files change."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import click

import asynq_py
from asynq_py.cli import loading
from asynq_py.cli.arguments import SPAN, WEIGHTS
from asynq_py.cli.commands import Command
from asynq_py.cli.failure import ConfigError
from asynq_py.cli.logs import logging_option, set_up
from asynq_py.cli.reload import serve_and_reload
from asynq_py.cli.settings import common, settings_of

ALLOWED: Final = "a Server, an App, or a function without arguments that returns one"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to serve and how. It goes to other processes, so it is data. None: as the object itself says."""

    path: str
    log_level: str
    redis: str | None
    options: asynq_py.ServerOptions


def make_server(plan: Plan) -> asynq_py.Server:
    """Load the object and make its server. Raises: ConfigError."""
    found = loading.load(plan.path)
    if not isinstance(found, (asynq_py.Server, asynq_py.App)):
        found = loading.called(found, plan.path)
    if isinstance(found, asynq_py.App):
        found = found.server()
    if not isinstance(found, asynq_py.Server):
        raise ConfigError(f"{plan.path} is {type(found).__name__}, and not {ALLOWED}")
    set_up(plan.log_level)  # last, so that a module which sets up logging itself comes first
    if plan.redis is None and not plan.options:
        return found
    return found.replace(plan.redis, **plan.options)


@click.command(cls=Command)
@click.argument("path", metavar="MODULE:OBJECT")
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tasks handled at once by each process.",
)
@click.option("-q", "--queues", type=WEIGHTS, metavar="A=6,B=1", help="Queues and their weights.")
@click.option("--strict-priority/--no-strict-priority", default=None, help="Empty weightier queues first.")
@click.option("--shutdown-timeout", type=SPAN, help="How long tasks may go on after a TERM.")
@click.option("-p", "--processes", type=click.IntRange(min=1), metavar="N", default=1, show_default=True,
              help="Worker processes; those that die are replaced.")  # fmt: skip
@click.option("--reload", "is_reloading", is_flag=True, help="Begin again whenever a Python file changes.")
@click.option(
    "--reload-dir", "folders", metavar="FOLDER", multiple=True, type=click.Path(exists=True, file_okay=False),
    help="With --reload: where to look, this folder by default. May be repeated.",
)  # fmt: skip
@logging_option
@common
@click.pass_context
def worker(
    context: click.Context,
    path: str,
    concurrency: int | None,
    queues: Mapping[str, int] | None,
    strict_priority: bool | None,
    shutdown_timeout: float | None,
    processes: int,
    is_reloading: bool,
    folders: Sequence[str],
    log_level: str,
) -> None:
    """Run the tasks of queues.

    OBJECT of MODULE is a Server, an App, or a function without arguments that returns one. What is said
    here wins over what the object says, --redis included.

    TERM and INT let running tasks finish, a second one hands them back; TSTP stops fetching.
    """
    settings = settings_of(context)
    options: asynq_py.ServerOptions = {}
    if concurrency is not None:
        options["concurrency"] = concurrency
    if queues is not None:
        options["queues"] = queues
    if strict_priority is not None:
        options["strict_priority"] = strict_priority
    if shutdown_timeout is not None:
        options["shutdown_timeout"] = shutdown_timeout
    plan = Plan(path, log_level, settings.redis_argument, options)
    if settings.redis is not None:
        os.environ["ASYNQ_REDIS_URL"] = settings.redis  # for all that the module makes without a URL
    if is_reloading:
        context.exit(serve_and_reload(partial(serve, plan, processes), folders or ["."]))
    context.exit(serve(plan, processes))


def serve(plan: Plan, processes: int) -> int:
    """Work until a signal says that it is enough. Returns the exit code."""
    if processes == 1:
        asyncio.run(make_server(plan).serve())
        return 0
    make_server(plan)  # a mistake is told now, rather than by each process
    return asyncio.run(asynq_py.Supervisor(partial(make_server, plan), processes=processes).serve())
