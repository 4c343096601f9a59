"""What the handlers of this process do, in numbers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from asynq_py import ActiveTask, AsyncHandler
from asynq_py.integrations.outcomes import expected_outcome
from asynq_py.integrations.prometheus.beside import beside
from asynq_py.integrations.task_types import MOST_TYPES, TaskTypes

PROBE: Final = 0.25  # seconds between measurements of the event loop's delay
LAG_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0)  # seconds
BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)  # seconds
DELAY_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)  # seconds


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
        async with beside(self._probe):
            yield

    async def _probe(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PROBE
            await anyio.sleep(PROBE)
            self._delay.observe(max(0.0, loop.time() - due))
