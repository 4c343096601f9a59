"""`asynq-py metrics`: the queues in numbers, for Prometheus."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from asynq_py.cli.arguments import queue_names
from asynq_py.cli.commands import Command
from asynq_py.cli.failure import CommandError, ConfigError
from asynq_py.cli.logs import logging_option, set_up
from asynq_py.cli.settings import common, settings_of


@click.command(cls=Command)
@click.option("--host", default="0.0.0.0", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", default=9876, show_default=True, help="0: any."
)
@click.option(
    "-q", "--queue", "queues", metavar="NAME", multiple=True, shell_complete=queue_names,
    help="Only this queue. May be repeated.",
)  # fmt: skip
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=10.0, show_default=True, metavar="SECONDS",
    help="The pause between two looks at the queues.",
)  # fmt: skip
@logging_option
@common
@click.pass_context
def metrics(
    context: click.Context, host: str, port: int, queues: Sequence[str], interval: float, log_level: str
) -> None:
    """Serve the queues in numbers, for Prometheus, until TERM or INT.

    They go by the names that Go's exporter gives them. Needs the extra `prometheus`.
    """
    set_up(log_level)
    try:
        # by name, as it needs a package of another extra
        prometheus = import_module("asynq_py.integrations.prometheus")
    except ImportError as error:
        raise ConfigError(str(error)) from error
    redis = settings_of(context).redis
    server = prometheus.metrics_server(redis, host=host, port=port, queues=queues or None, interval=interval)
    try:
        asyncio.run(_serve(server, host))
    except OSError as error:
        raise CommandError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error


async def _serve(server: Any, host: str) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with server as port:
        click.echo(f"serving metrics at http://{host}:{port}/metrics", err=True)
        await ended.wait()
