"""What the middleware tells of a handler, without a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest
from prometheus_client import CollectorRegistry

from asynq_py import ActiveTask, CancelReason, RetryLater, RevokeTask, SkipRetry
from asynq_py.integrations.prometheus import ServerMetrics, handlers
from tests.eventually import eventually
from tests.unit.tries import Try, active_task

COUNT = "asynq_py_task_duration_seconds_count"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


async def _handle(metrics: ServerMetrics, task: ActiveTask, error: BaseException | None = None) -> None:
    async def handler(task: ActiveTask) -> None:
        if error is not None:
            raise error

    if error is None:
        await metrics.middleware(task, handler)
    else:
        with pytest.raises(type(error)):
            await metrics.middleware(task, handler)


def _caused_by(cause: Exception) -> Exception:
    error = ValueError("wrapped")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason", "retried", "outcome"),
    [
        (None, None, 0, "done"),
        (ValueError(), None, 0, "retried"),
        (ValueError(), None, 25, "archived"),
        (SkipRetry(), None, 0, "archived"),
        (RevokeTask(), None, 25, "revoked"),
        (RetryLater(1), None, 25, "put_off"),
        (_caused_by(RevokeTask()), None, 0, "revoked"),
        (_caused_by(_caused_by(SkipRetry())), None, 0, "archived"),
        (asyncio.CancelledError(), CancelReason.TIMEOUT, 0, "retried"),
        (asyncio.CancelledError(), CancelReason.DEADLINE, 25, "archived"),
        (asyncio.CancelledError(), CancelReason.SHUTDOWN, 25, "handed_back"),
        (ValueError(), CancelReason.SHUTDOWN, 25, "handed_back"),
        (SkipRetry(), CancelReason.SHUTDOWN, 0, "archived"),
        (None, CancelReason.SHUTDOWN, 0, "done"),
        (None, CancelReason.LEASE_LOST, 0, "lost"),
        (asyncio.CancelledError(), CancelReason.LEASE_LOST, 0, "lost"),
    ],
)
async def test_the_outcome_is_the_one_that_a_server_writes(
    registry: CollectorRegistry,
    error: BaseException | None,
    reason: CancelReason | None,
    retried: int,
    outcome: str,
) -> None:
    metrics, attempt = ServerMetrics(registry=registry), Try()
    attempt.cancel_reason = reason

    await _handle(metrics, active_task(attempt=attempt, retried=retried), error)

    labels = {"queue": "default", "type": "t", "outcome": outcome}
    assert registry.get_sample_value(COUNT, labels) == 1
    cancelled = {"queue": "default", "type": "t", "reason": str(reason)}
    assert registry.get_sample_value("asynq_py_task_cancelations_total", cancelled) == (
        None if reason is None else 1
    )


async def test_lag_is_the_time_that_a_task_was_pending(registry: CollectorRegistry) -> None:
    metrics, known, unknown = ServerMetrics(registry=registry), Try(), Try()
    known.pending_since = b"%d" % int((time.time() - 100) * 1e9)

    await _handle(metrics, active_task(attempt=known))
    await _handle(metrics, active_task(attempt=unknown))

    def lag(suffix: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"asynq_py_task_lag_seconds{suffix}", {"queue": "default", **labels})

    assert (lag("_count"), lag("_bucket", le="60.0"), lag("_bucket", le="300.0")) == (1, 0, 1)


async def test_tasks_in_progress_are_those_in_a_handler(registry: CollectorRegistry) -> None:
    metrics, seen = ServerMetrics(registry=registry), list[float | None]()

    def running() -> float | None:
        return registry.get_sample_value("asynq_py_tasks_in_progress", {"queue": "default"})

    async def outer(task: ActiveTask) -> None:
        seen.append(running())
        await metrics.middleware(task, inner)

    async def inner(task: ActiveTask) -> None:
        seen.append(running())

    await metrics.middleware(active_task(), outer)

    assert [*seen, running()] == [1, 2, 0]


def _types(registry: CollectorRegistry) -> set[str]:
    return {
        sample.labels["type"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == COUNT
    }


async def test_types_that_nobody_foresaw_share_one_series(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MOST_TYPES", 3)
    metrics = ServerMetrics(registry=registry)

    for n in range(10):
        await _handle(metrics, active_task(f"user:{n}"))

    assert _types(registry) == {"user:0", "user:1", "user:2", "other"}


async def test_only_types_that_are_named_get_series_if_any_are(registry: CollectorRegistry) -> None:
    metrics = ServerMetrics(registry=registry, types=["a"])

    for name in ("a", "b"):
        await _handle(metrics, active_task(name))

    assert _types(registry) == {"a", "other"}


async def test_the_delay_of_the_loop_is_measured_while_it_is_watched(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "PROBE", 0.001)
    metrics = ServerMetrics(registry=registry)

    async def measured() -> float:
        return registry.get_sample_value("asynq_py_event_loop_delay_seconds_count") or 0

    async with metrics.watching_loop():
        await eventually(measured, lambda count: count >= 2)

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_error_of_the_watched_block_comes_out_as_it_is(registry: CollectorRegistry) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with ServerMetrics(registry=registry).watching_loop():
            raise ValueError("mine")


def test_without_the_library_the_error_says_what_to_install() -> None:
    look = "import sys; sys.modules['prometheus_client'] = None; import asynq_py.integrations.prometheus"
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=30)
    assert 'pip install "asynq-py[prometheus]"' in ended.stderr.splitlines()[-1]
