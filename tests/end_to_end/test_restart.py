"""Redis is killed and comes back with its data; every acknowledged task ends. F47."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py import BrokerUnavailableError, Client, Task
from tests.books import Books, books
from tests.end_to_end.processes import workers_of
from tests.eventually import eventually
from tests.lasting_server import LastingServer

KILLS = 3
BETWEEN = 300  # tasks acknowledged between two of them


@pytest.fixture
def lasting(server_kind: str, redis_url: str, tmp_path: Path) -> Generator[LastingServer]:
    """(`redis_url` brings the choice of its kind.)"""
    if server_kind == "docker":
        pytest.skip("a container cannot be killed and brought back with its data")
    with LastingServer(server_kind, tmp_path) as lasting:
        lasting.start()
        yield lasting


class Producer:
    """Enqueues for ever; what Redis did not acknowledge does not count."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.tried: list[str] = []

    async def run(self, client: Client) -> None:
        for number in itertools.count():
            ids = [f"{number}-{n}" for n in range(10)]
            self.tried += ids  # before the call, which may be cancelled after Redis took them
            with suppress(BrokerUnavailableError):
                await client.enqueue_many([Task("work", "0.001", task_id=task_id) for task_id in ids])
                self.acknowledged += ids
            await asyncio.sleep(0.005)

    async def count(self) -> int:
        return len(self.acknowledged)


@pytest.mark.timeout(180)
async def test_acknowledged_tasks_all_end_although_redis_is_killed_under_load(
    lasting: LastingServer, tmp_path: Path
) -> None:
    producer = Producer()
    async with workers_of(lasting.url, tmp_path) as workers, Client(lasting.url) as client:
        for _ in range(2):
            await workers.start(lease=5, recover_interval=0.2, concurrency=20)
        producing = asyncio.create_task(producer.run(client))
        for kill in range(1, KILLS + 1):
            await eventually(producer.count, lambda count, kill=kill: count >= kill * BETWEEN)  # type: ignore[misc]
            await asyncio.to_thread(lasting.kill)
            await asyncio.to_thread(lasting.start)
        await eventually(producer.count, lambda count: count >= (KILLS + 1) * BETWEEN)
        producing.cancel()

        def is_over(seen: Books) -> bool:
            return not (seen.pending or seen.active or seen.scheduled or seen.retry)

        async with Redis.from_url(lasting.url) as redis:
            left = await eventually(lambda: books(redis), is_over, within=60)
        ended = await workers.noted("ended")

    assert set(producer.acknowledged) <= set(ended)
    assert set(ended) <= set(producer.tried)
    assert left == Books(processed=left.processed)
    assert left.processed >= len(set(producer.acknowledged))
