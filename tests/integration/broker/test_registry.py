from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py.broker.registry import Registry
from tests.lanes import lane_to
from tests.state import NOW, Hash, dump, seed

ME = "h:1:s"
SERVER, WORKERS = "asynq:servers:{h:1:s}", "asynq:workers:{h:1:s}"


@pytest.fixture
async def registry(redis_url: str) -> AsyncGenerator[Registry]:
    async with lane_to(redis_url) as lane:
        yield Registry(lane)


async def test_a_server_is_listed_with_what_it_runs_for_a_while(registry: Registry, redis: Redis) -> None:
    await registry.write_server(ME, b"info", {"a": b"one", "b": b"two"}, now=NOW + 0.9, ttl=10)

    assert await dump(redis) == {
        "asynq:servers": {SERVER: NOW + 10},
        "asynq:workers": {WORKERS: NOW + 10},
        SERVER: "info",
        WORKERS: Hash(a="one", b="two"),
    }
    assert 8 <= await redis.ttl(SERVER) <= 10
    assert 8 <= await redis.ttl(WORKERS) <= 10


async def test_each_beat_replaces_what_the_one_before_said(registry: Registry, redis: Redis) -> None:
    await registry.write_server(ME, b"old", {"a": b"one"}, now=NOW, ttl=10)
    await registry.write_server(ME, b"new", {}, now=NOW + 5, ttl=10)

    assert await dump(redis) == {
        "asynq:servers": {SERVER: NOW + 15},
        "asynq:workers": {WORKERS: NOW + 15},
        SERVER: "new",
    }


async def test_a_server_that_ends_leaves_nothing_and_others_alone(registry: Registry, redis: Redis) -> None:
    await registry.write_server("h:2:s", b"other", {"a": b"one"}, now=NOW, ttl=10)
    before = await dump(redis)
    await registry.write_server(ME, b"info", {"a": b"one"}, now=NOW, ttl=10)

    await registry.clear_server(ME)

    assert await dump(redis) == before


async def test_a_sweep_drops_the_dead_and_spares_the_living(registry: Registry, redis: Redis) -> None:
    dead = {"dead": NOW - 1}
    living = {"just now": NOW, "living": NOW + 10}
    await seed(redis, {"asynq:servers": dead | living, "asynq:workers": dead | living})

    await registry.sweep(now=NOW + 0.5)

    assert await dump(redis) == {"asynq:servers": living, "asynq:workers": living}


async def test_queues_are_listed_by_name(registry: Registry, redis: Redis) -> None:
    assert await registry.queues() == []
    await seed(redis, {"asynq:queues": {"low", "critical"}})

    assert await registry.queues() == ["critical", "low"]
    assert await registry.has_queue("low") is True
    assert await registry.has_queue("lo") is False


async def test_a_queue_is_paused_once_and_its_time_kept(registry: Registry, redis: Redis) -> None:
    assert await registry.pause("q", now=NOW + 0.7) is True
    assert await registry.pause("q", now=NOW + 60) is False
    assert await dump(redis) == {"asynq:{q}:paused": str(int(NOW))}

    assert await registry.unpause("q") is True
    assert await registry.unpause("q") is False
    assert await dump(redis) == {}


@pytest.mark.usefixtures("one_server")  # a Cluster tells of one node only
async def test_cancel_tells_how_many_servers_heard_it(registry: Registry, redis: Redis) -> None:
    assert await registry.cancel("a") == 0
    async with redis.pubsub() as channel:
        await channel.subscribe("asynq:cancel")
        await channel.get_message(timeout=5)
        assert await registry.cancel("tâsk") == 1
        message = await channel.get_message(timeout=5)
    assert message is not None
    assert message["data"].decode() == "tâsk"


# -- schedulers ---------------------------------------------------------------------------------------------

ENTRIES, HISTORY = "asynq:schedulers:{h:1:s}", "asynq:scheduler_history:e"


async def test_a_scheduler_is_listed_with_its_entries_for_a_while(registry: Registry, redis: Redis) -> None:
    await registry.write_entries(ME, [b"old"], now=NOW - 5, ttl=20)
    await registry.write_entries(ME, [b"one", b"two"], now=NOW + 0.9, ttl=20)

    assert await dump(redis) == {"asynq:schedulers": {ENTRIES: NOW + 20}, ENTRIES: ["two", "one"]}
    assert 18 <= await redis.ttl(ENTRIES) <= 20


async def test_a_scheduler_that_ends_leaves_nothing_and_others_alone(
    registry: Registry, redis: Redis
) -> None:
    await registry.write_entries("h:2:s", [b"other"], now=NOW, ttl=20)
    before = await dump(redis)
    await registry.write_entries(ME, [b"one"], now=NOW, ttl=20)
    await registry.record_enqueue("e", b"event", now=NOW, ttl=60)

    await registry.clear_entries(ME)
    await registry.clear_history(["e"])

    assert await dump(redis) == before


async def test_a_history_keeps_the_last_thousand_and_ends(registry: Registry, redis: Redis) -> None:
    await redis.zadd(HISTORY, {f"event {n}": n for n in range(1000)})

    await registry.record_enqueue("e", b"event 1000", now=NOW, ttl=60)

    assert await redis.zcard(HISTORY) == 1000
    assert await redis.zrange(HISTORY, 0, 0) == [b"event 1"]
    assert await redis.zscore(HISTORY, "event 1000") == NOW
    assert 50 < await redis.ttl(HISTORY) <= 60
