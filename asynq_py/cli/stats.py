"""`asynq-py stats`: all queues in numbers, once or again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click

import asynq_py
from asynq_py.cli.commands import Command
from asynq_py.cli.output import Block, Facts, Table, live, print_blocks, print_json
from asynq_py.cli.settings import Settings, readable
from asynq_py.cli.states import STATES, queue_infos
from asynq_py.cli.wording import instant, share, span

SHORT: Final = {"aggregating": "aggr.", "scheduled": "sched.", "completed": "compl."}  # 80 columns must do
COUNTED: Final = ("size", *STATES, "processed", "failed")


@dataclass(frozen=True, slots=True)
class Stats:
    """`total`: sums over the queues."""

    total: Mapping[str, int]
    queues: Sequence[asynq_py.QueueInfo]
    redis: Mapping[str, str]
    looked_at: datetime


async def gather(inspector: asynq_py.Inspector) -> Stats:
    """Look at all queues, and ask Redis for itself."""
    redis = await inspector.redis_info()
    infos = await queue_infos(inspector)
    return Stats(
        total={name: sum(getattr(info, name) for info in infos) for name in COUNTED},
        queues=infos,
        redis=redis,
        looked_at=max((info.looked_at for info in infos), default=datetime.now().astimezone()),
    )


def view(stats: Stats) -> list[Block]:
    total = stats.total
    queues = Table(
        ("queue", "size", *(SHORT.get(name, name) for name in STATES), "latency"),
        [
            (
                f"{info.queue} (paused)" if info.is_paused else info.queue,
                *(getattr(info, name) for name in ("size", *STATES)),
                span(info.latency),
            )
            for info in stats.queues
        ],
        title="tasks by queue",
        empty="there are no queues",
    )
    return [
        Table(STATES, [[total[name] for name in STATES]], title="tasks by state"),
        queues,
        Table(
            ("processed", "failed", "error rate"),
            [(total["processed"], total["failed"], share(total["failed"], total["processed"]))],
            title=f"today, {stats.looked_at:%Y-%m-%d} UTC",
        ),
        _about_redis(stats.redis),
    ]


def _about_redis(told: Mapping[str, str]) -> Facts:
    if "cluster_state" in told:
        names = {"state": "cluster_state", "known nodes": "cluster_known_nodes", "size": "cluster_size"}
        return Facts([(name, told.get(field)) for name, field in names.items()], title="Redis Cluster")
    names = {
        "version": "redis_version", "uptime": "uptime_in_days", "connections": "connected_clients",
        "memory": "used_memory_human", "peak memory": "used_memory_peak_human",
    }  # fmt: skip
    pairs = [(name, told.get(field)) for name, field in names.items()]
    title = "Valkey, which is as Redis" if told.get("server_name") == "valkey" else "Redis"
    return Facts(
        [(name, f"{value} days" if name == "uptime" else value) for name, value in pairs], title=title
    )


@click.command(cls=Command)
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: the pause between two looks.",
)
@readable
@click.pass_obj
def stats(settings: Settings, watch: bool, interval: float) -> None:
    """Show all queues in numbers, and Redis itself.

    With --watch and --json each look is one line.
    """
    if watch:
        settings.inspect(lambda inspector: _watch(inspector, settings, interval))
        return
    seen = settings.inspect(gather)
    if settings.is_json:
        print_json(seen)
    else:
        print_blocks(view(seen))


async def _watch(inspector: asynq_py.Inspector, settings: Settings, interval: float) -> None:
    """Show one look after the other. An outage after the first one is told, and waited out."""
    seen = await gather(inspector)
    if settings.is_json:
        while True:
            print_json(seen)
            seen = await _next_look(
                inspector, interval, lambda error: click.echo(f"asynq-py: {error}", err=True)
            )
    with live() as screen:

        def complain(error: asynq_py.AsynqError) -> None:
            screen.show([f"{error}", f"as of {instant(seen.looked_at)}", *view(seen)])

        while True:
            screen.show([f"{instant(seen.looked_at)}, every {interval:g} s; Ctrl-C ends", *view(seen)])
            seen = await _next_look(inspector, interval, complain)


async def _next_look(
    inspector: asynq_py.Inspector, interval: float, complain: Callable[[asynq_py.AsynqError], None]
) -> Stats:
    while True:
        await asyncio.sleep(interval)
        try:
            return await gather(inspector)
        except asynq_py.BrokerUnavailableError as error:
            complain(error)
