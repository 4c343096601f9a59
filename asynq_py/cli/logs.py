"""Logs of the programs that go on for long: to standard error, unless the user's module has seen to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

LEVELS: Final = ("debug", "info", "warning", "error")
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def logging_option(command: Decorated) -> Decorated:
    """Give a command `--log-level`."""
    option = click.option(
        "--log-level", type=click.Choice(LEVELS), default="info", show_default=True,
        help="Log this and worse to standard error, unless the module has set up logging itself.",
    )  # fmt: skip
    return option(command)


def set_up(level: str) -> None:
    """Do nothing where there are handlers already."""
    logging.basicConfig(level=level.upper(), format=FORMAT)
