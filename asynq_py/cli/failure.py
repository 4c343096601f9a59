"""How a command fails: one line that says why, and the exit code.

0 done · 1 it could not be done, or not all of it · 2 the command line, the config file or a module is wrong ·
3 Redis is away, or denies access · 130 interrupted.
"""

from __future__ import annotations

from enum import IntEnum

import click

import asynq_py
from asynq_py.cli.wording import printable


class Code(IntEnum):
    """Exit codes of the program."""

    DONE = 0
    FAILED = 1
    WRONG = 2
    UNAVAILABLE = 3
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """It could not be done."""

    exit_code = Code.FAILED


class ConfigError(click.ClickException):
    """Command line, config file, or what they name, cannot be used."""

    exit_code = Code.WRONG


def code_of(error: BaseException) -> Code:
    """The exit code for an error that a command ran into."""
    match error:
        case click.ClickException():
            return Code(error.exit_code)
        case asynq_py.BrokerUnavailableError() | asynq_py.BrokerError():
            return Code.UNAVAILABLE
        case asynq_py.InvalidOptionError():
            return Code.WRONG
        case KeyboardInterrupt() | click.Abort():
            return Code.INTERRUPTED
        case _:
            return Code.FAILED


def text_of(error: BaseException) -> str:
    """One line, without control characters."""
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return printable(" ".join(text.split())) or type(error).__name__
