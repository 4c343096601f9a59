"""A Redis that is full, and one that throws keys away. F53, F54."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import cast

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, BrokerError, Client, Server, Task
from asynq_py.doctor import Doctor
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become
from tests.eventually import eventually

KEYS = QueueKeys("default")

pytestmark = pytest.mark.usefixtures("one_server")


@pytest.mark.timeout(120)
async def test_running_tasks_outlive_leases_while_redis_is_full_and_all_finish(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F53: enqueueing is refused at once; leases are extended, and outcomes free memory."""
    runs: Counter[str] = Counter()
    may_end = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        runs[task.id] += 1
        await may_end.wait()
        if task.type == "fails":
            raise ValueError

    async def lease_ends() -> float:
        leases = await redis.zrange(KEYS.lease, 0, 0, withscores=True)
        return cast(list[tuple[bytes, float]], leases)[0][1]

    names = [str(number) for number in range(20)]
    await client.enqueue_many([Task("t", task_id=name) for name in names])
    await client.enqueue(Task("fails", task_id="fails"))
    await client.enqueue(Task("t", task_id="kept", retention=60))
    async with Server(redis_url, handler, lease=6, recover_interval=0.1, concurrency=30):
        await eventually(lambda: books(redis), lambda seen: len(seen.active) == 22)
        await redis.config_set("maxmemory", "1")
        try:
            with pytest.raises(BrokerError, match="maxmemory"):
                await client.enqueue(Task("t"))
            first = await lease_ends()
            await eventually(lease_ends, lambda ends: ends >= first + 12, within=60)  # two leases more
            may_end.set()
            # (no transaction is allowed now, so the books cannot be read)
            await eventually(lambda: redis.llen(KEYS.active), lambda running: running == 0)
        finally:
            await redis.config_set("maxmemory", "0")
        await books_become(redis, Books(completed={"kept"}, retry={"fails"}, processed=22, failed=1))
    assert runs == Counter([*names, "fails", "kept"])


async def test_what_an_eviction_leaves_is_in_order_again_after_a_repair(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F54, F60, F62, F63: no policy can bring back what was thrown away, but nothing stays in limbo."""
    running = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        if task.type == "waits":
            await running.wait()

    active = [f"active {n}" for n in range(5)]
    pending = [f"pending {n}" for n in range(200)]
    later = [f"later {n}" for n in range(200)]
    await client.enqueue_many([Task("waits", task_id=name) for name in active])
    async with Server(redis_url, handler, lease=2, recover_interval=0.05, concurrency=5):
        await eventually(lambda: books(redis), lambda seen: len(seen.active) == 5)
        await client.enqueue_many([Task("t", "x" * 500, task_id=name) for name in pending])
        await client.enqueue_many([Task("t", "x" * 500, task_id=name) for name in later], process_in=3600)
        before = await redis.dbsize()
        limits = itertools.count(int((await redis.info("memory"))["used_memory"]), -50_000)

        async def squeeze() -> int:
            await redis.config_set("maxmemory", str(next(limits)))
            return await redis.dbsize()

        await redis.config_set("maxmemory-policy", "allkeys-random")
        try:
            await eventually(squeeze, lambda now: now <= before - 50)
        finally:
            await redis.config_set("maxmemory", "0")
            await redis.config_set("maxmemory-policy", "noeviction")
        running.set()

        async def is_settled() -> bool:
            seen = await books(redis)
            return not (seen.pending or seen.active or seen.unleased)

        await eventually(is_settled, within=40)
    async with Doctor(redis_url) as doctor:
        while damages := (await doctor.examine()).damages:
            await doctor.repair(damages)
    left = await books(redis)
    assert (left.active, left.unleased, left.ghosts, left.strays) == ((), set(), set(), set())

    kept = {*left.pending, *left.scheduled, *left.retry, *left.archived}
    free = sorted({*active, *pending, *later} - kept)  # the name of what was lost, or has run, is free
    ran: list[str] = []
    await client.enqueue_many([Task("t", task_id=name) for name in free])
    async with Server(redis_url, lambda task: ran.append(task.id)):
        await eventually(lambda: books(redis), lambda seen: not seen.pending and not seen.active)
    assert sorted(ran) == sorted([*left.pending, *free])
