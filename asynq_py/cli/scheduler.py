"""`asynq-py scheduler`: enqueue the tasks of a schedule when they are due."""

from __future__ import annotations

import asyncio
import os
from typing import Final

import click

import asynq_py
from asynq_py.cli import loading
from asynq_py.cli.commands import Command
from asynq_py.cli.failure import ConfigError
from asynq_py.cli.logs import logging_option, set_up
from asynq_py.cli.settings import common, settings_of

ALLOWED: Final = "a Scheduler, or a function without arguments that returns one"


@click.command(cls=Command)
@click.argument("path", metavar="MODULE:OBJECT")
@logging_option
@common
@click.pass_context
def scheduler(context: click.Context, path: str, log_level: str) -> None:
    """Enqueue tasks when they are due.

    OBJECT of MODULE is a Scheduler, or a function without arguments that returns one. --redis, like the
    config file, counts where it says no Redis of its own.
    """
    settings = settings_of(context)
    if settings.redis is not None:
        os.environ["ASYNQ_REDIS_URL"] = settings.redis  # for all that the module makes without a URL
    asyncio.run(_made(path, log_level).serve())


def _made(path: str, log_level: str) -> asynq_py.Scheduler:
    found = loading.load(path)
    if not isinstance(found, asynq_py.Scheduler):
        found = loading.called(found, path)
    if not isinstance(found, asynq_py.Scheduler):
        raise ConfigError(f"{path} is {type(found).__name__}, and not {ALLOWED}")
    set_up(log_level)
    return found
