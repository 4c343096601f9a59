"""The program `asynq-py`: its commands, and how an error is told."""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import Final

import click

import asynq_py
from asynq_py.cli.commands import LazyGroup
from asynq_py.cli.failure import Code, ConfigError, code_of, text_of
from asynq_py.cli.settings import Settings, common

NAME: Final = "asynq-py"
COMPLETE_VARIABLE: Final = "_ASYNQ_PY_COMPLETE"

# In the order of the help. Each is the function of that name in its module.
COMMANDS: Final = {
    "worker": "asynq_py.cli.worker",
    "scheduler": "asynq_py.cli.scheduler",
    "stats": "asynq_py.cli.stats",
    "queue": "asynq_py.cli.queue",
    "task": "asynq_py.cli.task",
    "group": "asynq_py.cli.group",
    "flow": "asynq_py.cli.flow",
    "server": "asynq_py.cli.server",
    "cron": "asynq_py.cli.cron",
    "schema": "asynq_py.cli.schema",
    "metrics": "asynq_py.cli.metrics",
    "doctor": "asynq_py.cli.doctor",
    "health": "asynq_py.cli.health",
    "dash": "asynq_py.dash.command",
    "demo": "asynq_py.cli.demo.command",
    "completion": "asynq_py.cli.completion",
}

CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "obj": None}


@click.group(name=NAME, cls=LazyGroup, modules=COMMANDS, context_settings=CONTEXT)
@common
@click.version_option(asynq_py.__version__, "-V", "--version", message="asynq-py %(version)s")
def program() -> None:
    """Run workers and schedulers, look at queues and tasks, and steer them."""


def run() -> int:
    """Do what the arguments say. Returns the exit code."""
    settings = Settings()
    _see_to_streams()
    try:
        code = program.main(
            prog_name=NAME, complete_var=COMPLETE_VARIABLE, standalone_mode=False, obj=settings
        )
        sys.stdout.flush()
    except UnicodeEncodeError:  # bytes of the command line that are none; output has no such error
        return _tell(ConfigError("an argument is no text in UTF-8"), settings)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at the end
        return Code.FAILED if isinstance(error, BrokenPipeError) else _tell(error, settings)
    except (click.ClickException, asynq_py.AsynqError, KeyboardInterrupt, click.Abort) as error:
        return _tell(error, settings)
    return code if isinstance(code, int) else Code.DONE


def _see_to_streams() -> None:
    """Let output be possible whatever the shell has closed, and whatever encoding there is."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for good
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what the encoding lacks is written out


def _tell(error: BaseException, settings: Settings) -> Code:
    if settings.is_debug:
        traceback.print_exception(error)
    if code_of(error) is Code.INTERRUPTED:
        click.echo(err=True)
        return Code.INTERRUPTED
    command, hint = NAME, ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        command = error.ctx.command_path
        hint = f" (see {command} --help)"
    click.echo(f"{command}: {text_of(error)}{hint}", err=True)
    return code_of(error)
