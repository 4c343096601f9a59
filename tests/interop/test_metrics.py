"""What Go's published x/metrics exports of a Redis, and what we do, field by field."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task
from asynq_py.integrations.prometheus import queue_metrics
from tests.interop.build import NoPeerError, metrics
from tests.interop.peer import GoPeer
from tests.interop.script import in_process
from tests.interop.settled import settle_one_in_each_state

pytestmark = pytest.mark.timeout(60, func_only=True)

Series: TypeAlias = dict[tuple[str, str, frozenset[tuple[str, str]]], float]
Go: TypeAlias = Callable[[], Awaitable[Series]]

OF_THE_MOMENT = ("asynq_queue_latency_seconds", "asynq_queue_memory_usage_approx_bytes")


@pytest.fixture
def go_scrape(programs: Path, one_server: str) -> Go:
    try:
        program = metrics(programs)
    except NoPeerError as why:
        pytest.skip(str(why))

    async def scrape() -> Series:
        process = await asyncio.create_subprocess_exec(program, one_server, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0
        return _series(out.decode())

    return scrape


def _series(text: str) -> Series:
    """Values by name, type and labels."""
    return {
        (sample.name, family.type, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def _ours(url: str) -> Series:
    registry = CollectorRegistry()
    async with queue_metrics(url, registry=registry):
        everything = _series(generate_latest(registry).decode())
    return {key: value for key, value in everything.items() if not key[0].startswith("asynq_py_")}


async def test_go_and_python_export_the_same_of_every_queue(
    go: GoPeer, go_scrape: Go, client: Client, redis: Redis
) -> None:
    async with in_process(go.url, retry_delay=3600) as python, Inspector(go.url) as inspector:
        await settle_one_in_each_state(python, client, redis)
        await go.enqueue("t", b"", task_id="scheduled", process_in=600)
        await go.enqueue("t", b"", task_id="pending")
        await go.enqueue("t", b"", task_id="aggregating", group="g")
        await go.enqueue("t", b"", queue="paused")
        await inspector.pause_queue("paused")
        theirs, ours = await go_scrape(), await _ours(go.url)
        await python.release()

    assert len(theirs) == 2 * 12
    assert ours.keys() == theirs.keys()
    differing = {key for key in theirs if ours[key] != theirs[key]}
    assert {name for name, _, _ in differing} <= set(OF_THE_MOMENT)
    for key in differing:
        assert ours[key] > 0
        assert theirs[key] > 0


async def test_a_queue_that_is_not_in_order_costs_go_all_numbers_and_us_its_own(
    go_scrape: Go, one_server: str, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t"), queue="good")
    await redis.sadd("asynq:queues", "bad")
    await redis.set("asynq:{bad}:pending", "not a list")

    assert await go_scrape() == {}
    ours = await _ours(one_server)
    assert {dict(labels)["queue"] for _, _, labels in ours} == {"good"}


async def test_without_queues_both_export_nothing(go_scrape: Go, one_server: str) -> None:
    assert await go_scrape() == {}
    assert await _ours(one_server) == {}
