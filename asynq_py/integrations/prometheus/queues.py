"""The queues in numbers, under the names that Go's exporter gives them."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from asynq_py import (
    AsynqError,
    BrokerUnavailableError,
    Inspector,
    InvalidOptionError,
    QueueInfo,
    QueueNotFoundError,
)
from asynq_py.integrations.prometheus.beside import beside

logger = logging.getLogger(__name__)

INTERVAL: Final = 10.0  # seconds between looks at the queues
MOST_QUEUES: Final = 1000  # that get series; the first by name

_STATES: Final[Sequence[tuple[str, Callable[[QueueInfo], int]]]] = (
    ("active", lambda info: info.active),
    ("pending", lambda info: info.pending),
    ("scheduled", lambda info: info.scheduled),
    ("retry", lambda info: info.retry),
    ("archived", lambda info: info.archived),
    ("completed", lambda info: info.completed),
)  # not aggregating, as in Go: sums over the states stay what they are


@dataclass(frozen=True, slots=True)
class _Look:
    """`at`: Unix seconds of the last one that succeeded, 0: never. `left_out`: queues beyond the limit."""

    at: float = 0.0
    is_up: bool = False
    infos: tuple[QueueInfo, ...] = ()
    unreadable: tuple[str, ...] = ()
    left_out: int = 0


class QueueMetrics(Collector):
    """The queues as they stood at the last look, for a registry of prometheus_client.

    `queues`: only these; None: all there are. A scrape reads what is in memory, in whatever thread, and waits
    for nothing. If Redis is away there are no numbers of queues, rather than old ones.
    """

    def __init__(self, inspector: Inspector, *, queues: Collection[str] | None = None) -> None:
        self._inspector = inspector
        self._queues = queues
        self._look = _Look()

    async def run(self, interval: float = INTERVAL) -> None:
        """Look again and again, with a pause of `interval` seconds."""
        while True:
            await anyio.sleep(interval)
            await self.look_once()

    async def look_once(self) -> None:
        """Look at each queue once, one after the other. Never raises for what is wrong with Redis."""
        try:
            names = sorted(await self._inspector.queues() if self._queues is None else set(self._queues))
            infos, unreadable = await self._read(names[:MOST_QUEUES])
        except AsynqError as error:
            logger.warning("no metrics of queues: %s", error)
            self._look = _Look(at=self._look.at)
            return
        left_out = max(0, len(names) - MOST_QUEUES)
        if left_out > self._look.left_out:
            logger.warning("%d queues get no metrics: %d is the limit", left_out, MOST_QUEUES)
        self._look = _Look(time.time(), True, tuple(infos), tuple(unreadable), left_out)

    async def _read(self, names: Iterable[str]) -> tuple[list[QueueInfo], list[str]]:
        infos: list[QueueInfo] = []
        unreadable: list[str] = []
        for name in names:
            try:
                infos.append(await self._inspector.queue_info(name))
            except QueueNotFoundError:
                continue  # removed meanwhile, or nothing was ever put into it
            except BrokerUnavailableError:
                raise
            except AsynqError as error:  # one that is not in order hides no other
                unreadable.append(name)
                if name not in self._look.unreadable:
                    logger.warning("no metrics of queue %r: %s", name, error)
        return infos, unreadable

    def describe(self) -> Iterable[Metric]:
        """The names, without a value."""
        return _families(_Look())

    def collect(self) -> Iterable[Metric]:
        """What the last look saw."""
        return _families(self._look)


def _families(look: _Look) -> list[Metric]:
    infos = look.infos
    tasks = GaugeMetricFamily("asynq_tasks_enqueued_total", "Tasks in each state", labels=("queue", "state"))
    for info in infos:
        for state, count in _STATES:
            tasks.add_metric((info.queue, state), count(info))
    processed = CounterMetricFamily("asynq_tasks_processed", "Tries that ended", labels=("queue",))
    failed = CounterMetricFamily("asynq_tasks_failed", "Tries that failed", labels=("queue",))
    for info in infos:
        processed.add_metric((info.queue,), info.processed_total)
        failed.add_metric((info.queue,), info.failed_total)
    unreadable = GaugeMetricFamily("asynq_py_queue_unreadable", "Queues not in order", labels=("queue",))
    for name in look.unreadable:
        unreadable.add_metric((name,), 1)
    return [
        # Go's
        tasks,
        _gauge("asynq_queue_size", "Tasks of all states", infos, lambda info: info.size),
        _gauge("asynq_queue_latency_seconds", "How long the next task waits", infos, lambda i: i.latency),
        _gauge(
            "asynq_queue_memory_usage_approx_bytes",
            "Memory, estimated from some of the tasks",
            infos,
            lambda info: info.memory_usage,
        ),
        processed,
        failed,
        _gauge("asynq_queue_paused_total", "1 if the queue is paused", infos, lambda info: info.is_paused),
        # ours
        _gauge("asynq_py_tasks_aggregating", "Tasks that wait in groups", infos, lambda i: i.aggregating),
        _gauge("asynq_py_queue_groups", "Groups in which tasks wait", infos, lambda info: info.groups),
        unreadable,
        GaugeMetricFamily(
            "asynq_py_queues_left_out", "Queues without metrics as there are too many", value=look.left_out
        ),
        GaugeMetricFamily("asynq_py_redis_up", "1 if the last look could read Redis", value=look.is_up),
        GaugeMetricFamily("asynq_py_looked_at_timestamp_seconds", "When Redis was last read", value=look.at),
    ]


def _gauge(
    name: str, about: str, infos: Iterable[QueueInfo], value: Callable[[QueueInfo], float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=("queue",))
    for info in infos:
        family.add_metric((info.queue,), value(info))
    return family


@asynccontextmanager
async def queue_metrics(
    redis: Any = None,
    *,
    queues: Collection[str] | None = None,
    interval: float = INTERVAL,
    registry: CollectorRegistry = prometheus_client.REGISTRY,
) -> AsyncGenerator[QueueMetrics]:
    """Register the queues in numbers for as long as the block lasts.

    `redis`: as for Inspector. `queues`: only these. `interval`: seconds between looks; what a scrape is told
    is at most that old, and the time that a look takes.

    Raises: InvalidOptionError.
    """
    if type(interval) not in (int, float) or not interval > 0:
        raise InvalidOptionError("interval", interval, "seconds, more than 0")
    async with Inspector(redis) as inspector:
        metrics = QueueMetrics(inspector, queues=queues)
        await metrics.look_once()
        registry.register(metrics)
        try:
            async with beside(lambda: metrics.run(interval)):
                yield metrics
        finally:
            registry.unregister(metrics)
