"""`asynq-py scheduler`: enqueue the tasks of a schedule when they are due."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final, TypeAlias

import click

import asynq_py
from asynq_py.cli import loading
from asynq_py.cli.commands import Command
from asynq_py.cli.failure import ConfigError
from asynq_py.cli.logs import logging_option, set_up
from asynq_py.cli.settings import common, settings_of

AnyScheduler: TypeAlias = "asynq_py.Scheduler | asynq_py.PeriodicTaskManager"

ALLOWED: Final = (
    "a Scheduler, a PeriodicTaskManager, an App, or a function without arguments that returns one"
)
FILES: Final = (".toml", ".yaml", ".yml")


@click.command(cls=Command)
@click.argument("path", metavar="MODULE:OBJECT|FILE")
@logging_option
@common
@click.pass_context
def scheduler(context: click.Context, path: str, log_level: str) -> None:
    """Enqueue tasks when they are due.

    OBJECT of MODULE is a Scheduler, a PeriodicTaskManager, an App, or a function without arguments that
    returns one. --redis, like the config file, counts where it names no Redis of its own.

    FILE is a .toml or .yaml file that lists periodic tasks. It may be edited meanwhile.
    """
    settings = settings_of(context)
    if settings.redis is not None:
        os.environ["ASYNQ_REDIS_URL"] = settings.redis  # for all that the module makes without a URL
    made = _of_file(path, settings.redis) if Path(path).suffix in FILES else _of_module(path)
    set_up(log_level)
    asyncio.run(made.serve())


def _of_file(path: str, redis: str | None) -> AnyScheduler:
    return asynq_py.PeriodicTaskManager(redis, asynq_py.PeriodicTaskFile(path))


def _of_module(path: str) -> AnyScheduler:
    found = loading.load(path)
    if not isinstance(found, (asynq_py.Scheduler, asynq_py.PeriodicTaskManager, asynq_py.App)):
        found = loading.called(found, path)
    if isinstance(found, asynq_py.App):
        found = found.scheduler()
    if not isinstance(found, (asynq_py.Scheduler, asynq_py.PeriodicTaskManager)):
        raise ConfigError(f"{path} is {type(found).__name__}, and not {ALLOWED}")
    return found
