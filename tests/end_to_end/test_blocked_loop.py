"""Handlers that hold the event loop for longer than a lease. F24."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Task
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become
from tests.end_to_end.processes import Option, Workers
from tests.eventually import eventually

KEYS = QueueKeys("default")
QUICK: dict[str, Option] = {"lease": 6, "recover_interval": 0.1, "concurrency": 1}


@pytest.mark.timeout(120)
async def test_a_task_that_blocks_the_loop_for_three_leases_runs_once(
    workers: Workers, redis: Redis, client: Client, tmp_path: Path
) -> None:
    """F24: its lease is extended all the same, while another server waits for it to end."""
    go = tmp_path / "go"
    await client.enqueue(Task("block", str(go), task_id="a"))
    await workers.start(**QUICK)
    await eventually(lambda: workers.noted("started"))
    await workers.start(**QUICK)

    first = await redis.zscore(KEYS.lease, "a") or 0.0
    await eventually(
        lambda: redis.zscore(KEYS.lease, "a"), lambda score: (score or 0.0) > first + 12, within=60
    )
    (tmp_path / "go.0").touch()

    await books_become(redis, Books(processed=1))
    assert await workers.noted("started") == await workers.noted("ended") == {"a": 1}


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("options", "timeout"), [({"max_loop_block": 0.5}, 600), ({}, 1)], ids=["max_loop_block", "its deadline"]
)
async def test_a_task_that_blocks_the_loop_too_long_is_run_by_another_and_the_first_one_changes_nothing(
    workers: Workers,
    redis: Redis,
    client: Client,
    tmp_path: Path,
    options: dict[str, Option],
    timeout: float,
) -> None:
    """F24."""
    go = tmp_path / "go"
    await client.enqueue(Task("block", str(go), task_id="a", timeout=timeout))
    await workers.start(**QUICK, **options)
    await eventually(lambda: workers.noted("started"))

    await workers.start(**QUICK, max_loop_block=600)
    await eventually(lambda: workers.noted("started"), lambda started: started["a"] == 2, within=60)
    assert await redis.hget(KEYS.task("a"), "crashes") == b"1"

    (tmp_path / "go.0").touch()  # the first one ends; it alone is free then
    await eventually(lambda: workers.noted("ended"), lambda ended: ended["a"] == 1)
    await client.enqueue(Task("work", "0", task_id="b"))
    await books_become(redis, Books(active=("a",), processed=1))

    (tmp_path / "go.1").touch()
    await books_become(redis, Books(processed=2))
    assert await books(redis) == Books(processed=2)
