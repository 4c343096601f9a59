"""What a server says about itself, and how it keeps the tasks it runs.

Wire format 3.2, 3.3, 6; behaviour 11.1.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Unpack
from uuid import UUID

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, CancelReason, Client, Server, ServerOptions, Task
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import ServerInfo, WorkerInfo
from tests.books import Books, books
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.proxy import Hold, Proxy
from tests.state import NOW, dump, seed

KEYS = QueueKeys("default")
LEASE = 8.0  # so that there is a beat every two seconds, and a slow machine loses none


@dataclass
class Busy:
    """A server that runs task "a", and may be told to end it."""

    server: Server
    may_end: asyncio.Event
    reasons: list[CancelReason | None]


@asynccontextmanager
async def busy(url: str, client: Client, **options: Unpack[ServerOptions]) -> AsyncGenerator[Busy]:
    started, may_end = asyncio.Event(), asyncio.Event()
    reasons: list[CancelReason | None] = []

    async def handler(task: ActiveTask) -> None:
        started.set()
        try:
            await may_end.wait()
        finally:
            reasons.append(task.cancel_reason)

    await client.enqueue(Task("email:send", b"\x00payload", task_id="a", timeout=600))
    async with asyncio.timeout(30), Server(url, handler, **options) as server:
        await started.wait()
        yield Busy(server, may_end, reasons)
        may_end.set()


async def server_key(redis: Redis) -> str:
    """The key of the only server there is, or ""."""
    names = await redis.zrange("asynq:servers", 0, -1)
    assert len(names) < 2
    return str(names[0], "ascii") if names else ""  # type: ignore[arg-type]  # bytes, as asked of the driver


async def server_info(redis: Redis) -> ServerInfo:
    data = await redis.get(await server_key(redis) or "none")
    return ServerInfo.FromString(data) if isinstance(data, bytes) else ServerInfo()


async def workers(redis: Redis) -> dict[str, WorkerInfo]:
    key = (await server_key(redis)).replace("servers", "workers")
    found: dict[bytes, bytes] = await redis.hgetall(key)  # type: ignore[assignment]
    return {field.decode(): WorkerInfo.FromString(value) for field, value in found.items()}


async def test_a_server_is_listed_as_peers_expect_it(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock
) -> None:
    clock.now += 0.25
    queues = {"default": 6, "low": 2}
    async with busy(
        redis_url, client, clock=clock, lease=LEASE, queues=queues, concurrency=7, strict_priority=True
    ):
        await eventually(lambda: workers(redis))
        key, info = await server_key(redis), await server_info(redis)

    host, pid, server_id = key.removeprefix("asynq:servers:{").removesuffix("}").rsplit(":", 2)
    assert (host, int(pid), str(UUID(server_id))) == (socket.gethostname(), os.getpid(), server_id)
    assert (info.host, info.pid, info.server_id) == (host, os.getpid(), server_id)
    assert (info.concurrency, dict(info.queues), info.strict_priority) == (7, queues, True)
    assert (info.status, info.active_worker_count) == ("active", 1)
    assert (info.start_time.seconds, info.start_time.nanos) == (int(NOW), 250_000_000)


async def test_a_task_in_progress_is_listed_as_peers_expect_it(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock
) -> None:
    clock.now += 0.25
    async with busy(redis_url, client, clock=clock, lease=LEASE):
        (field, worker), *others = (await eventually(lambda: workers(redis))).items()
        info = await server_info(redis)

    assert (field, others) == ("a", [])
    assert (worker.host, worker.pid, worker.server_id) == (info.host, info.pid, info.server_id)
    assert (worker.task_id, worker.task_type, worker.queue) == ("a", "email:send", "default")
    assert worker.task_payload == b"\x00payload"
    assert (worker.start_time.seconds, worker.start_time.nanos) == (int(NOW), 250_000_000)
    assert (worker.deadline.seconds, worker.deadline.nanos) == (int(NOW) + 600, 250_000_000)


async def test_the_record_ends_by_itself_two_beats_after_the_last(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock
) -> None:
    async with busy(redis_url, client, clock=clock):
        key = await eventually(lambda: server_key(redis))
        await eventually(lambda: redis.exists(key))
        assert 0 < await redis.ttl(key) <= 10
        workers_key = key.replace("servers", "workers")
        assert await redis.zscore("asynq:servers", key) == NOW + 10
        assert await redis.zscore("asynq:workers", workers_key) == NOW + 10


async def test_the_entry_of_a_task_goes_when_the_task_ends(
    redis_url: str, redis: Redis, client: Client
) -> None:
    async with busy(redis_url, client, lease=LEASE) as running:
        await eventually(lambda: workers(redis))
        running.may_end.set()
        await eventually(lambda: workers(redis), lambda found: not found)
        assert (await server_info(redis)).active_worker_count == 0


async def test_peers_see_that_a_server_has_stopped_and_that_it_closes(
    redis_url: str, redis: Redis, client: Client
) -> None:
    async def status() -> str:
        return (await server_info(redis)).status

    async with busy(redis_url, client, lease=LEASE) as running:
        await eventually(status, lambda seen: seen == "active")
        running.server.stop()
        await eventually(status, lambda seen: seen == "stopped")
        ending = asyncio.create_task(running.server.shutdown())
        await eventually(status, lambda seen: seen == "closed")
        running.may_end.set()
        await ending


async def test_a_server_that_ends_is_no_longer_listed(redis_url: str, redis: Redis, client: Client) -> None:
    async with busy(redis_url, client, lease=LEASE):
        await eventually(lambda: workers(redis))
    assert [key for key in await dump(redis) if "servers" in key or "workers" in key] == []


async def test_servers_that_died_without_a_word_are_taken_off_the_list(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock
) -> None:
    dead = {"asynq:servers": {"asynq:servers:{dead}": NOW - 1}, "asynq:workers": {"asynq:workers:{dead}": 5}}
    alive = {"asynq:servers:{alive}": NOW}
    await seed(redis, dead)
    await redis.zadd("asynq:servers", alive)
    async with Server(redis_url, lambda task: None, clock=clock):
        for kind in ("servers", "workers"):
            entry = f"asynq:{kind}:{{dead}}"
            await eventually(
                lambda kind=kind, entry=entry: redis.zscore(f"asynq:{kind}", entry),  # type: ignore[misc]
                lambda score: score is None,
            )
    assert await redis.zrange("asynq:servers", 0, -1) == [b"asynq:servers:{alive}"]


# -- leases ---------------------------------------------------------------------------------------------


async def test_the_lease_of_a_running_task_is_extended_and_stays_ours(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock
) -> None:
    async with busy(redis_url, client, clock=clock, lease=LEASE) as running:
        first = await redis.zscore(KEYS.lease, "a") or 0
        assert int(first) == NOW + LEASE
        for second in range(1, 4):
            clock.advance(0.5)
            clock.advance(0.5)
            await eventually(
                lambda: redis.zscore(KEYS.lease, "a"),
                lambda score, second=second: score == first + second,  # type: ignore[misc]
            )
        assert running.reasons == []
    assert await books(redis) == Books(processed=1)


@pytest.mark.parametrize("loss", ["gone", "taken over", "taken over by Go"])
async def test_a_handler_whose_lease_somebody_else_has_is_cancelled_and_nothing_is_written(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock, loss: str
) -> None:
    """F33."""
    async with busy(redis_url, client, clock=clock, lease=LEASE) as running:
        ours = await redis.zscore(KEYS.lease, "a") or 0
        if loss == "gone":
            await redis.zrem(KEYS.lease, "a")
        else:
            theirs = NOW + 30 if loss == "taken over by Go" else ours + 0.000_002
            await redis.zadd(KEYS.lease, {"a": theirs})
        await eventually(lambda: _copy(running.reasons))
    assert running.reasons == [CancelReason.LEASE_LOST]
    unleased = {"a"} if loss == "gone" else set[str]()
    assert await books(redis) == Books(active=("a",), unleased=unleased)


async def test_a_lease_that_ends_while_redis_is_away_cancels_the_handler(
    proxy: Proxy, redis: Redis, client: Client, clock: ManualClock
) -> None:
    """F26: by then another server may run the task."""
    async with busy(proxy.url, client, clock=clock) as running:
        proxy.is_refusing = True
        proxy.cut_all()
        clock.advance(28)
        assert running.reasons == []
        clock.advance(2)
        await eventually(lambda: _copy(running.reasons))
        proxy.is_refusing = False
    assert running.reasons == [CancelReason.LEASE_LOST]
    assert (await books(redis)).active == ("a",)


async def test_a_beat_does_not_wait_for_an_answer_until_the_leases_are_over(
    proxy: Proxy, client: Client, clock: ManualClock
) -> None:
    """However patient other connections are: the next one brings another connection, and extends them."""
    beat = [b"ZADD", b"asynq:servers"]
    held = proxy.inject(Hold(), at=b"ZADD")

    async def beats() -> int:
        return sum(request[:2] == beat for request in proxy.requests)

    async with busy(f"{proxy.url}?socket_timeout=60", client, clock=clock, lease=LEASE) as running:
        await held.happened.wait()
        await eventually(beats, lambda count: count > 1)
        assert running.reasons == []
    held.release.set()


async def test_the_error_handler_hears_of_a_lost_lease(redis_url: str, redis: Redis, client: Client) -> None:
    told: list[str] = []
    async with busy(
        redis_url, client, lease=LEASE, error_handler=lambda task, error: told.append(type(error).__name__)
    ):
        await redis.zrem(KEYS.lease, "a")
        await eventually(lambda: _copy(told))
    assert told == ["LeaseExpiredError"]


async def test_a_stale_outcome_changes_nothing_of_a_task_that_somebody_else_runs(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock
) -> None:
    """F23: the handler ends before the next beat would tell it that the lease is lost."""
    async with busy(redis_url, client, clock=clock) as running:
        await redis.zadd(KEYS.lease, {"a": NOW + 40})
        running.may_end.set()
        await eventually(lambda: _copy(running.reasons))
    assert running.reasons == [None]
    assert await books(redis) == Books(active=("a",))


async def _copy(items: list[CancelReason | None] | list[str]) -> list[object]:
    return list(items)
