"""Metrics for Prometheus: the queues under Go's names, and what the handlers of this process do.

Needs prometheus-client, the extra `prometheus`. Behaviour 15.5.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio

from asynq_py import (
    ActiveTask,
    AsyncHandler,
    AsynqError,
    BrokerUnavailableError,
    Inspector,
    InvalidOptionError,
    QueueInfo,
    QueueNotFoundError,
)
from asynq_py.integrations.outcomes import expected_outcome
from asynq_py.integrations.task_types import MOST_TYPES, TaskTypes

try:
    import prometheus_client
except ModuleNotFoundError as error:
    raise ImportError(
        'asynq_py.integrations.prometheus needs prometheus-client: pip install "asynq-py[prometheus]"'
    ) from error

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

PORT: Final = 9876  # that of Go's exporter
INTERVAL: Final = 10.0  # seconds between looks at the queues
MOST_QUEUES: Final = 1000  # that get series; the first by name
PROBE: Final = 0.25  # seconds between measurements of the event loop's delay
LAG_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0)  # seconds
BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)  # seconds
DELAY_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)  # seconds

_STATES: Final[Sequence[tuple[str, Callable[[QueueInfo], int]]]] = (
    ("active", lambda info: info.active),
    ("pending", lambda info: info.pending),
    ("scheduled", lambda info: info.scheduled),
    ("retry", lambda info: info.retry),
    ("archived", lambda info: info.archived),
    ("completed", lambda info: info.completed),
)  # not aggregating, as in Go: sums over the states stay what they are


# -- queues -------------------------------------------------------------------------------------------------


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
            async with _beside(lambda: metrics.run(interval)):
                yield metrics
        finally:
            registry.unregister(metrics)


@asynccontextmanager
async def _beside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    """Run something beside the block. What the block raises comes out as it is, not in a group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(work)
        try:
            yield
        except Exception as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


# -- handlers -----------------------------------------------------------------------------------------------


class ServerMetrics:
    """What the handlers of this process do: `mux.use(metrics.middleware)`, as the outermost of all.

    `types`: tasks of these types get series of their own, all others share "other". None: the first 100 that
    are seen, for anybody who enqueues may invent types. `buckets`: of the durations, in seconds.
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry = prometheus_client.REGISTRY,
        types: Collection[str] | None = None,
        buckets: Sequence[float] = BUCKETS,
    ) -> None:
        self._types = TaskTypes(types, MOST_TYPES)
        self._durations = Histogram(
            "asynq_py_task_duration_seconds",
            "Time that handlers took, by what became of the task",
            ("queue", "type", "outcome"),
            buckets=buckets,
            registry=registry,
        )
        self._lag = Histogram(
            "asynq_py_task_lag_seconds",
            "Time that tasks were pending before their handler began",
            ("queue",),
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self._running = Gauge(
            "asynq_py_tasks_in_progress", "Tasks in a handler", ("queue",), registry=registry
        )
        self._cancelations = Counter(
            "asynq_py_task_cancelations",
            "Handlers that were cancelled, by the reason",
            ("queue", "type", "reason"),
            registry=registry,
        )
        self._delay = Histogram(
            "asynq_py_event_loop_delay_seconds",
            "How late the event loop wakes who sleeps",
            buckets=DELAY_BUCKETS,
            registry=registry,
        )

    async def middleware(self, task: ActiveTask, call_next: AsyncHandler) -> None:
        """Measure a handler."""
        if (since := task.pending_since) is not None:
            self._lag.labels(task.queue).observe(max(0.0, time.time() - since.timestamp()))
        running = self._running.labels(task.queue)
        running.inc()
        began = time.perf_counter()
        failure: BaseException | None = None
        try:
            await call_next(task)
        except BaseException as error:
            failure = error
            raise
        finally:
            running.dec()
            kind = self._types.label(task.type)
            outcome = expected_outcome(task, failure)
            self._durations.labels(task.queue, kind, outcome).observe(time.perf_counter() - began)
            if task.cancel_reason is not None:
                self._cancelations.labels(task.queue, kind, str(task.cancel_reason)).inc()

    @asynccontextmanager
    async def watching_loop(self) -> AsyncGenerator[None]:
        """Measure the delay of this event loop four times a second, for as long as the block lasts."""
        async with _beside(self._probe):
            yield

    async def _probe(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PROBE
            await anyio.sleep(PROBE)
            self._delay.observe(max(0.0, loop.time() - due))


# -- an exporter of its own ---------------------------------------------------------------------------------


@asynccontextmanager
async def metrics_server(
    redis: Any = None,
    *,
    host: str = "0.0.0.0",
    port: int = PORT,
    queues: Collection[str] | None = None,
    interval: float = INTERVAL,
) -> AsyncGenerator[int]:
    """Serve the queues, and this process, at http://host:port/metrics beside the block. Yields the port.

    `port`: 0 for any that is free. It answers from a thread, so also while the event loop is busy.

    Raises: InvalidOptionError. OSError: the port is taken.
    """
    registry = CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    prometheus_client.GCCollector(registry=registry)

    async with queue_metrics(redis, queues=queues, interval=interval, registry=registry):
        server, thread = await anyio.to_thread.run_sync(
            lambda: prometheus_client.start_http_server(port, host, registry)
        )

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        try:
            yield server.server_port
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(end)


async def serve_metrics(
    redis: Any = None,
    *,
    host: str = "0.0.0.0",
    port: int = PORT,
    queues: Collection[str] | None = None,
    interval: float = INTERVAL,
) -> None:
    """Serve metrics until cancelled: a stand-alone exporter, as Go's. See metrics_server."""
    async with metrics_server(redis, host=host, port=port, queues=queues, interval=interval) as bound:
        logger.info("serving metrics at http://%s:%d/metrics", host, bound)
        await anyio.sleep_forever()
