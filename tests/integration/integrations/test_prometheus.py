"""Queues and servers as a scrape sees them, read by the parser of prometheus_client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    Client,
    Inspector,
    InvalidOptionError,
    RetryLater,
    RevokeTask,
    ServeMux,
    Server,
    SkipRetry,
    Task,
)
from asynq_py.integrations.prometheus import (
    QueueMetrics,
    ServerMetrics,
    metrics_server,
    queue_metrics,
    queues,
)
from tests.books import Books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.proxy import Cut, Proxy
from tests.state import NOW, NOW_NS, dump, kept, lease, seed, state

FULL = state(
    pending=[kept("a", fields={"pending_since": NOW_NS - 2_500_000_000}), kept("b")],
    active=[kept("c", lease(7))],
    scheduled=[kept("d", NOW), kept("e", NOW), kept("f", NOW)],
    retry=[kept("g", NOW)],
    archived=[kept("h", NOW)],
    completed=[kept("i", NOW)],
    groups={"x": [kept("j", NOW), kept("k", NOW)]},
    processed=9,
    failed=4,
    registered=True,
)
GO_NAMES = {
    "asynq_tasks_enqueued_total": "gauge",
    "asynq_queue_size": "gauge",
    "asynq_queue_latency_seconds": "gauge",
    "asynq_queue_memory_usage_approx_bytes": "gauge",
    "asynq_tasks_processed_total": "counter",
    "asynq_tasks_failed_total": "counter",
    "asynq_queue_paused_total": "gauge",
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(inspector: Inspector, registry: CollectorRegistry) -> QueueMetrics:
    metrics = QueueMetrics(inspector)
    registry.register(metrics)
    return metrics


def _samples(text: str) -> dict[str, float]:
    """By name and labels, as they stand in the text."""
    return {
        f"{sample.name}{_label_text(sample.labels)}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _label_text(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{name}={value}" for name, value in sorted(labels.items())) + "}" if labels else ""


def _scraped(registry: CollectorRegistry) -> dict[str, float]:
    return _samples(generate_latest(registry).decode())


async def test_a_queue_has_the_metrics_of_go_and_a_few_of_ours(
    metrics: QueueMetrics, registry: CollectorRegistry, redis: Redis
) -> None:
    await seed(redis, {**FULL, "asynq:{q}:paused": "1"})

    await metrics.look_once()

    seen = _scraped(registry)
    assert seen.pop("asynq_queue_memory_usage_approx_bytes{queue=q}") > 0
    assert seen.pop("asynq_py_looked_at_timestamp_seconds") > 0
    assert seen == {
        "asynq_tasks_enqueued_total{queue=q,state=active}": 1,
        "asynq_tasks_enqueued_total{queue=q,state=pending}": 2,
        "asynq_tasks_enqueued_total{queue=q,state=scheduled}": 3,
        "asynq_tasks_enqueued_total{queue=q,state=retry}": 1,
        "asynq_tasks_enqueued_total{queue=q,state=archived}": 1,
        "asynq_tasks_enqueued_total{queue=q,state=completed}": 1,
        "asynq_queue_size{queue=q}": 11,
        "asynq_queue_latency_seconds{queue=q}": 2.5,
        "asynq_tasks_processed_total{queue=q}": 9,
        "asynq_tasks_failed_total{queue=q}": 4,
        "asynq_queue_paused_total{queue=q}": 1,
        "asynq_py_tasks_aggregating{queue=q}": 2,
        "asynq_py_queue_groups{queue=q}": 1,
        "asynq_py_queues_left_out": 0,
        "asynq_py_redis_up": 1,
    }


async def test_names_and_types_are_those_of_go(metrics: QueueMetrics, registry: CollectorRegistry) -> None:
    await metrics.look_once()

    lines = generate_latest(registry).decode().splitlines()

    types = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE asynq_"))
    assert {name: kind for name, kind in types.items() if not name.startswith("asynq_py_")} == GO_NAMES


async def test_what_is_exposed_is_also_valid_in_the_newer_format(
    metrics: QueueMetrics, registry: CollectorRegistry, redis: Redis
) -> None:
    await seed(redis, FULL)
    await metrics.look_once()

    text = exposition.generate_latest(registry).decode()  # type: ignore[no-untyped-call]  # theirs

    families = open_metrics(text)  # type: ignore[no-untyped-call]  # theirs
    assert {family.name for family in families} >= {"asynq_queue_size", "asynq_tasks_processed"}


async def test_looking_changes_nothing(metrics: QueueMetrics, redis: Redis) -> None:
    await seed(redis, FULL)
    await metrics.look_once()
    assert await dump(redis) == FULL


async def test_a_queue_that_is_not_in_order_hides_no_other(
    metrics: QueueMetrics, registry: CollectorRegistry, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await seed(redis, FULL)
    await redis.sadd("asynq:queues", "bad")
    await redis.set("asynq:{bad}:pending", "not a list")

    with caplog.at_level(logging.WARNING):
        await metrics.look_once()
        await metrics.look_once()

    seen = _scraped(registry)
    assert seen["asynq_queue_size{queue=q}"] == 11
    assert seen["asynq_py_queue_unreadable{queue=bad}"] == 1
    assert "asynq_queue_size{queue=bad}" not in seen
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == ["bad"]


async def test_a_queue_that_is_put_in_order_is_back(
    metrics: QueueMetrics, registry: CollectorRegistry, redis: Redis
) -> None:
    await redis.sadd("asynq:queues", "bad")
    await redis.set("asynq:{bad}:pending", "not a list")
    await metrics.look_once()
    await redis.delete("asynq:{bad}:pending")
    await metrics.look_once()

    seen = _scraped(registry)
    assert seen["asynq_queue_size{queue=bad}"] == 0
    assert "asynq_py_queue_unreadable{queue=bad}" not in seen


async def test_a_queue_that_is_gone_leaves_no_series(
    metrics: QueueMetrics, registry: CollectorRegistry, inspector: Inspector, redis: Redis
) -> None:
    await seed(redis, state(pending=[kept("a")], registered=True))
    await metrics.look_once()
    await inspector.delete_queue("q", force=True)
    await metrics.look_once()

    assert not [name for name in _scraped(registry) if "queue=" in name]


async def test_queues_beyond_the_limit_are_counted_and_not_looked_at(
    metrics: QueueMetrics, registry: CollectorRegistry, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "MOST_QUEUES", 2)
    await redis.sadd("asynq:queues", *"abcde")

    await metrics.look_once()

    seen = _scraped(registry)
    assert [name for name in seen if name.startswith("asynq_queue_size")] == [
        "asynq_queue_size{queue=a}",
        "asynq_queue_size{queue=b}",
    ]
    assert seen["asynq_py_queues_left_out"] == 3


async def test_only_the_queues_that_are_named_are_looked_at_and_may_be_missing(
    inspector: Inspector, registry: CollectorRegistry, redis: Redis
) -> None:
    await redis.sadd("asynq:queues", *"abc")
    metrics = QueueMetrics(inspector, queues=["b", "never"])
    registry.register(metrics)

    await metrics.look_once()

    assert [name for name in _scraped(registry) if name.startswith("asynq_queue_size")] == [
        "asynq_queue_size{queue=b}"
    ]


async def test_without_redis_there_are_no_numbers_rather_than_old_ones(registry: CollectorRegistry) -> None:
    async with queue_metrics("redis://127.0.0.1:1/0", registry=registry):
        seen = _scraped(registry)

    assert seen == {
        "asynq_py_queues_left_out": 0,
        "asynq_py_redis_up": 0,
        "asynq_py_looked_at_timestamp_seconds": 0,
    }


@pytest.mark.parametrize("command", [b"SMEMBERS", b"EVALSHA"])
async def test_numbers_go_when_redis_does_and_come_back_with_it(
    proxy: Proxy, registry: CollectorRegistry, redis: Redis, command: bytes
) -> None:
    await redis.sadd("asynq:queues", "q")
    async with queue_metrics(proxy.url, registry=registry, interval=3600) as metrics:
        looked_at = _scraped(registry)["asynq_py_looked_at_timestamp_seconds"]
        assert _scraped(registry)["asynq_queue_size{queue=q}"] == 0

        proxy.inject(Cut(), at=command, times=100)
        await metrics.look_once()
        seen = _scraped(registry)
        assert not [name for name in seen if "queue=" in name]
        assert (seen["asynq_py_redis_up"], seen["asynq_py_looked_at_timestamp_seconds"]) == (0, looked_at)

        proxy.forget_faults()
        await metrics.look_once()
        assert _scraped(registry)["asynq_queue_size{queue=q}"] == 0


async def test_metrics_are_registered_for_a_while_and_follow_redis(
    redis_url: str, registry: CollectorRegistry, client: Client
) -> None:
    async def size() -> float | None:
        return registry.get_sample_value("asynq_queue_size", {"queue": "default"})

    async with queue_metrics(redis_url, registry=registry, interval=0.01):
        await client.enqueue(Task("t"))
        await eventually(size, lambda size: size == 1)

    assert list(registry.collect()) == []


@pytest.mark.parametrize("interval", [0, -1, True, float("nan"), "10"])
async def test_an_interval_that_is_none_is_refused(interval: float) -> None:
    with pytest.raises(InvalidOptionError, match="interval"):
        async with queue_metrics(interval=interval):
            pass


async def test_an_error_of_the_block_comes_out_as_it_is(redis_url: str, registry: CollectorRegistry) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with queue_metrics(redis_url, registry=registry):
            raise ValueError("mine")
    assert list(registry.collect()) == []


async def test_the_exporter_answers_over_http_and_is_gone_afterwards(redis_url: str, client: Client) -> None:
    await client.enqueue(Task("t"), queue="mail")

    async with (
        metrics_server(redis_url, host="127.0.0.1", port=0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web,
    ):
        answer = await web.get("/metrics")
        seen = _samples(answer.text)
        assert answer.headers["content-type"].startswith("text/plain")
        assert seen["asynq_queue_size{queue=mail}"] == 1
        assert any(name.startswith("python_info") for name in seen)

        with pytest.raises(OSError, match="in use"):
            async with metrics_server(redis_url, host="127.0.0.1", port=port):
                pass

    async with metrics_server(redis_url, host="127.0.0.1", port=port) as again:
        assert again == port


async def test_outcomes_are_those_that_the_server_writes(
    redis_url: str, registry: CollectorRegistry, client: Client, redis: Redis
) -> None:
    mux, metrics = ServeMux(), ServerMetrics(registry=registry)
    mux.use(metrics.middleware)
    endings: Mapping[str, BaseException | None] = {
        "done": None,
        "retried": ValueError(),
        "archived": SkipRetry(),
        "revoked": RevokeTask(),
        "put_off": RetryLater(3600),
    }

    @mux.handler("end:")
    async def end(task: ActiveTask) -> None:
        if error := endings[task.type.removeprefix("end:")]:
            raise error

    @mux.handler("sleep")
    async def sleep(task: ActiveTask) -> None:
        await asyncio.Event().wait()

    for name in endings:
        await client.enqueue(Task(f"end:{name}"), task_id=name)
    await client.enqueue(Task("sleep"), task_id="late", timeout=1, max_retry=0)
    await client.enqueue(Task("unheard-of"), task_id="unheard", max_retry=0)
    async with Server(redis_url, mux, retry_delay=lambda *_: 3600):
        await books_become(
            redis,
            Books(
                retry={"retried", "put_off"},
                archived={"archived", "late", "unheard"},
                processed=6,
                failed=4,
            ),
        )

    counted = {
        (sample.labels["type"], sample.labels["outcome"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "asynq_py_task_duration_seconds_count"
    }
    assert counted == {
        **{(f"end:{name}", name): 1 for name in endings},
        ("sleep", "archived"): 1,
        ("unheard-of", "archived"): 1,
    }
    assert (
        registry.get_sample_value(
            "asynq_py_task_cancelations_total", {"queue": "default", "type": "sleep", "reason": "timeout"}
        )
        == 1
    )
