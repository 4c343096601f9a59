"""The same for several things: those that cannot be done are told, and the others are done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import click

import asynq_py
from asynq_py.cli.failure import Code, text_of

T = TypeVar("T")


async def each(
    names: Sequence[str], work: Callable[[str], Awaitable[T]]
) -> tuple[dict[str, T], dict[str, asynq_py.AsynqError]]:
    """Do the work for each name, one after the other. Returns what came of it, and what went wrong, by name.

    Raises: BrokerUnavailableError, BrokerError: the others would fare no better.
    """
    done: dict[str, T] = {}
    failed: dict[str, asynq_py.AsynqError] = {}
    for name in dict.fromkeys(names):
        try:
            done[name] = await work(name)
        except (asynq_py.BrokerUnavailableError, asynq_py.BrokerError):
            raise
        except asynq_py.AsynqError as error:
            failed[name] = error
    return done, failed


def complain(context: click.Context, failed: dict[str, asynq_py.AsynqError]) -> None:
    """Tell what went wrong, and end the program with the code for it, if anything did."""
    for error in failed.values():
        click.echo(f"{context.command_path}: {text_of(error)}", err=True)
    if failed:
        context.exit(Code.FAILED)
