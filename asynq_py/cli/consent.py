"""Asking before something is lost: with a count of what is concerned, and never where nobody can answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from asynq_py.cli.failure import CommandError, ConfigError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Consent:
    """What `--yes` and `--dry-run` say."""

    is_given: bool
    is_dry_run: bool

    def ask(self, question: str) -> None:
        """Ask, unless it was said already.

        Raises: CommandError: the answer is no. ConfigError: nobody is there to answer.
        """
        if self.is_given:
            return
        if not sys.stdin.isatty():
            raise ConfigError(f"{question}? Nobody is here to answer: say --yes, or look with --dry-run")
        if not click.confirm(f"{question}?", err=True):
            raise CommandError("nothing was changed")


def asking(command: Decorated) -> Decorated:
    """Give a command `--yes` and `--dry-run`."""
    dry_run = click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(dry_run(command))
