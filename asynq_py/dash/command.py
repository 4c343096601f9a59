"""`asynq-py dash`: the terminal dashboard."""

from __future__ import annotations

import sys
from importlib import import_module
from urllib.parse import urlsplit

import click

import asynq_py
from asynq_py.cli.commands import Command
from asynq_py.cli.failure import ConfigError
from asynq_py.cli.settings import common, settings_of


@click.command(cls=Command)
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, metavar="SECONDS",
    help="The pause between two looks at Redis.",
)  # fmt: skip
@click.option("--read-only", is_flag=True, help="Offer nothing that changes anything.")
@common
@click.pass_context
def dash(context: click.Context, interval: float, read_only: bool) -> None:
    """Watch queues, tasks, servers and schedulers in the terminal, and steer them.

    `?` shows the keys. A Redis that goes away is waited for. Needs the extra `dash`.
    """
    try:
        # by name, as it needs a package of another extra
        app, desk = import_module("asynq_py.dash.app"), import_module("asynq_py.dash.desk")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise ConfigError('the dashboard needs Textual: pip install "asynq-py[dash]"') from error
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("the dashboard needs a terminal; `asynq-py stats --watch` goes without")
    settings = settings_of(context)

    async def show(inspector: asynq_py.Inspector) -> int:
        place = place_of(settings.redis)
        dashboard = app.Dashboard(
            desk.Desk(inspector, is_read_only=read_only), place=place, interval=interval
        )
        await dashboard.run_async()
        return int(dashboard.return_code or 0)

    context.exit(settings.inspect(show))


def place_of(url: str | None) -> str:
    """Where Redis is, without names and passwords."""
    parts = urlsplit(url or "redis://localhost:6379/0")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
