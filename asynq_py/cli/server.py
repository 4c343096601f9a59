"""`asynq-py server`: the servers that live, and what they run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

import asynq_py
from asynq_py.cli.commands import Group
from asynq_py.cli.output import Block, Table, print_blocks, print_json
from asynq_py.cli.settings import Settings, common, readable
from asynq_py.cli.wording import content, when


@click.group(cls=Group)
@common
def server() -> None:
    """Look at the servers that run tasks."""


@server.command()
@click.option("--workers", is_flag=True, help="With the tasks that they run. JSON always has them.")
@readable
@click.pass_obj
def ls(settings: Settings, workers: bool) -> None:
    """List the servers that live. What they tell is some seconds old."""
    servers = settings.inspect(lambda inspector: inspector.servers())
    if settings.is_json:
        print_json({"servers": servers})
        return
    now = datetime.now(UTC)
    print_blocks([_servers(servers, now), *([_workers(servers, now)] if workers else [])])


def _servers(servers: Sequence[asynq_py.ServerInfo], now: datetime) -> Table:
    rows = [
        (
            info.host,
            info.pid,
            info.status,
            f"{len(info.active_workers)}/{info.concurrency}",
            _queues(info),
            when(info.started_at, now),
        )
        for info in servers
    ]
    return Table(("host", "pid", "state", "running", "queues", "started"), rows, empty="no server runs")


def _queues(info: asynq_py.ServerInfo) -> str:
    """The weightiest first."""
    weights = sorted(info.queues.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{name}={weight}" for name, weight in weights)
    return f"{text} (strict)" if info.strict_priority else text


def _workers(servers: Sequence[asynq_py.ServerInfo], now: datetime) -> Block:
    rows = [
        (
            f"{info.host}:{info.pid}",
            worker.queue,
            worker.task_id,
            worker.task_type,
            content(worker.task_payload),
            when(worker.started_at, now),
            when(worker.deadline, now),
        )
        for info in servers
        for worker in info.active_workers
    ]
    columns = ("server", "queue", "task", "type", "payload", "started", "deadline")
    return Table(columns, rows, title="running", empty="no task")
