"""The same for several things by their names: those that cannot be done are told, and the others are done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import click

import asynq_py
from asynq_py.cli.failure import Code, text_of
from asynq_py.cli.output import Block, print_blocks, print_json
from asynq_py.cli.settings import settings_of

T = TypeVar("T")


class RefusedError(asynq_py.AsynqError):
    """It cannot be done to this one as it is."""


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done to things that have names. `one`: do it to one of them."""

    name: str
    past: str
    one: Callable[[asynq_py.Inspector, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. `failed`: what could not be done and why, by name."""

    verb: str
    is_dry_run: bool
    count: int
    failed: Mapping[str, str]


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


def show_each(
    context: click.Context,
    names: Sequence[str],
    look: Callable[[asynq_py.Inspector, str], Awaitable[T]],
    drawn: Callable[[T], Sequence[Block]],
    *,
    under: str,
) -> None:
    """Show what there is to know of each: as a list of JSON with the name `under`, or drawn."""
    settings = settings_of(context)
    found, failed = settings.inspect(lambda inspector: each(names, partial(look, inspector)))
    if settings.is_json:
        print_json({under: list(found.values())})
    else:
        print_blocks([block for info in found.values() for block in drawn(info)])
    complain(context, failed)


def do_each(context: click.Context, verb: Verb, names: Sequence[str]) -> None:
    """Do it to each, and tell to which it was done."""
    settings = settings_of(context)
    done, failed = settings.inspect(lambda inspector: each(names, partial(verb.one, inspector)))
    tell_done(context, verb, list(done), failed)


def tell_done(
    context: click.Context,
    verb: Verb,
    done: Sequence[str],
    failed: Mapping[str, asynq_py.AsynqError],
    *,
    is_dry_run: bool = False,
) -> None:
    """Tell what came of it, or would come; the exit code says whether it was done to all."""
    if settings_of(context).is_json:
        why = {name: text_of(error) for name, error in failed.items()}
        print_json(Done(verb.name, is_dry_run, len(done), why))
    else:
        lead = f"would {verb.name}" if is_dry_run else verb.past
        print_blocks([f"{lead} {name}" for name in done])
    complain(context, failed)


def complain(context: click.Context, failed: Mapping[str, asynq_py.AsynqError]) -> None:
    """Tell what went wrong, and end the program with the code for it, if anything did."""
    for error in failed.values():
        click.echo(f"{context.command_path}: {text_of(error)}", err=True)
    if failed:
        context.exit(Code.FAILED)
