from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from redis.asyncio import Redis, RedisCluster

from asynq_py import (
    BrokerError,
    ClusterNode,
    EnqueueEvent,
    Inspector,
    InvalidOptionError,
    SchedulerEntryInfo,
    ServerInfo,
    WorkerInfo,
)
from asynq_py.wire import messages
from tests.state import NOW

THEN = datetime.fromtimestamp(NOW - 60, UTC)
NEVER = -62135596800  # Go's zero time


def server(name: str) -> bytes:
    info = messages.ServerInfo(
        host="h", pid=7, server_id=name, concurrency=10, queues={"q": 3}, status="active"
    )
    messages.set_instant(info.start_time, NOW - 60)
    return messages.encode(info)


def worker(task_id: str, server_id: str = "s", started: float = NOW - 60) -> bytes:
    info = messages.WorkerInfo(
        host="h", pid=7, server_id=server_id, task_id=task_id, task_type="t", task_payload=b"p", queue="q"
    )
    messages.set_instant(info.start_time, started)
    messages.set_instant(info.deadline, NOW)
    return messages.encode(info)


def entry(name: str, *options: str, next_in: float = 60, previous: int = NEVER) -> bytes:
    info = messages.SchedulerEntry(
        id=name, spec="@every 1m", task_type="t", task_payload=b"p", enqueue_options=options
    )
    messages.set_instant(info.next_enqueue_time, NOW + next_in)
    info.prev_enqueue_time.seconds = previous
    return messages.encode(info)


async def put(redis: Redis, kind: str, records: dict[str, list[bytes]], *, until: float = NOW + 10) -> None:
    for name, found in records.items():
        key = f"asynq:{kind}:{{{name}}}"
        await redis.zadd(f"asynq:{kind}", {key: until})
        match kind:
            case "servers":
                await redis.set(key, found[0])
            case "workers":
                await redis.hset(key, mapping={str(at): data for at, data in enumerate(found)})
            case _:
                await redis.lpush(key, *found)


async def test_servers_are_told_with_what_they_run(inspector: Inspector, redis: Redis) -> None:
    await put(redis, "servers", {"h:7:s": [server("s")], "h:7:idle": [server("idle")]})
    await put(
        redis, "workers", {"h:7:s": [worker("b", started=NOW - 59), worker("a")], "h:7:x": [worker("c", "x")]}
    )

    idle, busy = await inspector.servers()

    first, second = busy.active_workers
    assert first == WorkerInfo(
        task_id="a",
        task_type="t",
        task_payload=b"p",
        queue="q",
        started_at=THEN,
        deadline=THEN + timedelta(seconds=60),
    )
    assert second.task_id == "b"
    assert busy == ServerInfo(
        id="s", host="h", pid=7, concurrency=10, queues={"q": 3}, strict_priority=False, status="active",
        started_at=THEN, active_workers=(first, second),
    )  # fmt: skip
    assert (idle.id, idle.active_workers) == ("idle", ())


async def test_entries_of_schedulers_are_told_next_first(inspector: Inspector, redis: Redis) -> None:
    first = entry("e1", 'Queue("low")', "MaxRetry(3)", "Unheard(1)", next_in=5, previous=int(NOW - 60))
    await put(redis, "schedulers", {"h:7:s": [entry("e2"), first]})

    found = await inspector.scheduler_entries()

    assert found[0] == SchedulerEntryInfo(
        id="e1", spec="@every 1m", type="t", payload=b"p", options={"queue": "low", "max_retry": 3},
        next_enqueue_at=datetime.fromtimestamp(NOW + 5, UTC), previous_enqueue_at=THEN,
    )  # fmt: skip
    assert [(info.id, info.previous_enqueue_at is None) for info in found] == [("e1", False), ("e2", True)]


async def test_an_entry_of_a_go_scheduler_is_read(inspector: Inspector, redis: Redis) -> None:
    """Wire format 14."""
    golden = (
        "0a026531120a406576657279203330731a0274742201702a0c517565756528226c6f7722292a0b4d61785265747279283329"
        "320908a5facdac0610d8043a0b088092b8c398feffffff01"
    )
    await put(redis, "schedulers", {"h:1:u": [bytes.fromhex(golden)]})

    (info,) = await inspector.scheduler_entries()

    assert (info.id, info.spec, info.type, info.payload) == ("e1", "@every 30s", "tt", b"p")
    assert info.options == {"queue": "low", "max_retry": 3}
    assert info.next_enqueue_at == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert info.previous_enqueue_at is None


async def test_what_an_entry_enqueued_is_told_newest_first(inspector: Inspector, redis: Redis) -> None:
    for n in range(5):
        event = messages.SchedulerEnqueueEvent(task_id=str(n))
        messages.set_instant(event.enqueue_time, NOW - 60 + n)
        await redis.zadd("asynq:scheduler_history:e", {messages.encode(event): NOW - 60 + n})

    pages = [await inspector.list_scheduler_enqueue_events("e", page, 3) for page in (1, 2, 3)]

    assert [[event.task_id for event in page] for page in pages] == [["4", "3", "2"], ["1", "0"], []]
    assert pages[1][1] == EnqueueEvent(task_id="0", enqueued_at=THEN)
    with pytest.raises(InvalidOptionError):
        await inspector.list_scheduler_enqueue_events("e", 0)


async def test_who_died_and_what_cannot_be_read_is_left_out(inspector: Inspector, redis: Redis) -> None:
    await put(redis, "servers", {"h:7:dead": [server("dead")]}, until=NOW - 1)
    await put(redis, "servers", {"h:7:s": [server("s")], "h:7:odd": [b"\xff"]})
    await put(redis, "schedulers", {"h:7:dead": [entry("e")]}, until=NOW - 1)
    await redis.zadd("asynq:servers", {"asynq:servers:{gone}": NOW + 10})

    assert [info.id for info in await inspector.servers()] == ["s"]
    assert await inspector.scheduler_entries() == []


async def test_the_slot_of_a_queue_is_that_of_its_keys(inspector: Inspector, redis: Redis) -> None:
    assert await inspector.cluster_key_slot("foo") == 12182  # that of {foo}, as in Redis' own tests
    with pytest.raises(InvalidOptionError):
        await inspector.cluster_key_slot(" ")


async def test_without_a_cluster_no_node_has_a_queue(inspector: Inspector, one_server: str) -> None:
    with pytest.raises(BrokerError):
        await inspector.cluster_nodes("q")


async def test_the_nodes_of_a_queue_are_told_master_first(
    inspector: Inspector, redis: Redis, server_kind: str
) -> None:
    if server_kind != "cluster":
        pytest.skip("of a Cluster")

    master, replica = await inspector.cluster_nodes("q")

    owner = cast(RedisCluster, redis).get_node_from_key("asynq:{q}:pending")
    assert owner is not None
    assert master == ClusterNode(id=master.id, host=owner.host, port=int(owner.port))
    assert len({master.id, replica.id, ""}) == 3


async def test_redis_tells_of_itself_and_a_cluster_of_all_its_nodes(
    inspector: Inspector, redis: Redis
) -> None:
    told = await inspector.redis_info()

    if isinstance(redis, RedisCluster):
        assert (told["cluster_state"], told["cluster_known_nodes"], told["cluster_size"]) == ("ok", "6", "3")
    else:
        info = await redis.info()
        assert told["redis_version"] == info["redis_version"]
        assert int(told["connected_clients"]) >= 1
        assert "used_memory_human" in told
