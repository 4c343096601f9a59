"""Each message field by field, written by one language and read by the other. Wire format 3, 12.2, 14."""

from __future__ import annotations

import asyncio
from hashlib import md5
from typing import Any

import pytest
from google.protobuf import json_format
from redis.asyncio import Redis

from asynq_py import Client, Task
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import ServerInfo, TaskMessage, WorkerInfo, encode
from tests.books import Books, books_become, message
from tests.eventually import eventually
from tests.interop.peer import GoPeer
from tests.interop.raw import field_bytes, keys, message_bytes, value_bytes
from tests.interop.script import does, in_process
from tests.unit.wire.test_messages import GOLDEN, LATER_FIELD

pytestmark = pytest.mark.timeout(60, func_only=True)

KEY = QueueKeys("default").task("a")
NAMES = [f"{number}-{kind.__name__}" for number, (kind, _, _) in enumerate(GOLDEN)]


def fields_of(message: Any) -> dict[str, Any]:
    """As the JSON of protobuf, which is the same in both languages."""
    fields: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return fields


@pytest.mark.parametrize(("kind", "fields", "golden"), GOLDEN, ids=NAMES)
async def test_go_reads_the_golden_bytes_as_we_do(
    go: GoPeer, kind: Any, fields: dict[str, Any], golden: str
) -> None:
    read_by_go = await go.decode(kind.__name__, bytes.fromhex(golden))
    assert read_by_go == fields_of(kind.FromString(bytes.fromhex(golden)))
    assert set(read_by_go) == set(fields)


@pytest.mark.parametrize(("kind", "fields", "golden"), GOLDEN, ids=NAMES)
async def test_go_writes_the_golden_bytes(go: GoPeer, kind: Any, fields: dict[str, Any], golden: str) -> None:
    assert (await go.encode(kind.__name__, fields_of(kind(**fields)))).hex() == golden


async def test_what_a_python_client_stores_is_read_by_go_field_by_field(
    go: GoPeer, client: Client, redis: Redis
) -> None:
    headers = {"k": "v", "ключ": "", "": "x"}
    payload = b"\x00\xff"
    await client.enqueue(
        Task("t", payload, headers=headers),
        task_id="a",
        max_retry=3,
        timeout=90,
        retention=600,
        unique=60,
        process_in=600,
        group="g",
    )

    data = await message_bytes(redis, "a")

    assert await go.decode("TaskMessage", data) == {
        "type": "t",
        "payload": "AP8=",
        "id": "a",
        "queue": "default",
        "retry": 3,
        "timeout": "90",
        "retention": "600",
        "unique_key": f"asynq:{{default}}:unique:t:{md5(payload).hexdigest()}",
        "group_key": "g",
        "headers": headers,
    }


@pytest.mark.parametrize("field", TaskMessage.DESCRIPTOR.fields_by_name)
async def test_each_field_of_a_task_message_crosses_both_ways(go: GoPeer, field: str) -> None:
    values: dict[str, Any] = {"payload": b"\x00\xff", "headers": {"k": "v"}}
    kinds = TaskMessage.DESCRIPTOR.fields_by_name[field]
    default = "ü €" if kinds.type == kinds.TYPE_STRING else 2**31 - 1
    sent = TaskMessage(**{field: values.get(field, default)})

    assert await go.decode("TaskMessage", encode(sent)) == fields_of(sent)
    assert TaskMessage.FromString(await go.encode("TaskMessage", fields_of(sent))) == sent


async def test_what_a_go_client_stores_is_read_by_us_as_go_reads_it(go: GoPeer, redis: Redis) -> None:
    await go.enqueue(
        "t",
        b"\x00\xff",
        task_id="a",
        headers={"k": "v", "": "x"},
        max_retry=3,
        timeout=90,
        retention=600,
        unique=60,
        process_in=600,
        group="g",
        deadline=4102542245,
    )

    data = await message_bytes(redis, "a")

    read_by_us = fields_of(TaskMessage.FromString(data))
    assert read_by_us == await go.decode("TaskMessage", data)
    assert set(read_by_us) == {
        "type", "payload", "id", "queue", "retry", "timeout", "deadline", "retention", "unique_key",
        "group_key", "headers",
    }  # fmt: skip


async def test_the_records_of_a_python_server_are_read_by_go_field_by_field(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t", does("wait")), task_id="a")
    async with in_process(any_go.url, lease=2.0) as python:
        await python.events.wait("start", "a")
        (key,) = await eventually(lambda: keys(redis, "asynq:workers:{*"))
        worker = await field_bytes(redis, key, "a")
        server = await value_bytes(redis, key.replace("workers", "servers"))
        await python.release()

    records: list[tuple[type[ServerInfo | WorkerInfo], bytes]] = [(ServerInfo, server), (WorkerInfo, worker)]
    for kind, data in records:
        read_by_go = await any_go.decode(kind.__name__, data)
        assert read_by_go == fields_of(kind.FromString(data))
        assert set(read_by_go) >= {"host", "pid", "server_id", "start_time"}


async def test_the_records_of_a_go_server_are_read_by_us_as_go_reads_them(
    any_go: GoPeer, redis: Redis
) -> None:
    async with any_go.serve(queues={"q": 2}) as worker:
        (key,) = await eventually(lambda: keys(redis, "asynq:servers:{*"))
        data = await value_bytes(redis, key)

    read_by_us = ServerInfo.FromString(data)
    assert fields_of(read_by_us) == await any_go.decode("ServerInfo", data)
    assert (read_by_us.pid, dict(read_by_us.queues), read_by_us.status) == (worker.pid, {"q": 2}, "active")


async def _enqueue_with_later_field(client: Client, redis: Redis, payload: bytes, retention: int = 0) -> None:
    """As a client would that knows a field which no version has yet."""
    await client.enqueue(
        Task("t", payload, headers={"k": "v"}), task_id="a", retention=retention, process_in=600
    )
    await redis.hset(KEY, "msg", await message_bytes(redis, "a") + LATER_FIELD)
    await redis.zadd("asynq:{default}:scheduled", {"a": 0})


async def test_a_field_of_the_future_survives_a_retry_and_a_completion_in_python(
    redis_url: str, client: Client, redis: Redis
) -> None:
    script = does("succeed", fail=1, text="x")
    await _enqueue_with_later_field(client, redis, script, retention=600)

    async with in_process(redis_url, retry_delay=3600):
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))
    assert LATER_FIELD in await message_bytes(redis, "a")
    await redis.zadd("asynq:{default}:retry", {"a": 0})
    async with in_process(redis_url):
        await books_become(redis, Books(completed={"a"}, processed=2, failed=1))

    assert LATER_FIELD in await message_bytes(redis, "a")
    assert dict((await message(redis, "a")).headers) == {"k": "v"}


async def test_a_field_of_the_future_is_lost_in_a_retry_by_go(
    any_go: GoPeer, client: Client, redis: Redis
) -> None:
    """Nothing that we could mend: Go writes back only what it knows. docs/with-go.md tells users."""
    await _enqueue_with_later_field(client, redis, does("fail", text="x"))

    async with any_go.serve(retry_delay=3600):
        await books_become(redis, Books(retry={"a"}, processed=1, failed=1))

    assert LATER_FIELD not in await message_bytes(redis, "a")


async def test_many_headers_in_any_order_mean_the_same(go: GoPeer) -> None:
    headers = {f"key {number}": f"value {number}" for number in range(50)}
    sent = TaskMessage(type="t", headers=headers)
    written = await asyncio.gather(*(go.encode("TaskMessage", fields_of(sent)) for _ in range(3)))
    assert all(TaskMessage.FromString(data) == sent for data in written)
