"""durability="replica": a task counts as enqueued when replicas have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import Client, InvalidOptionError, NotReplicatedError, SyncClient, Task
from asynq_py.errors import BrokerError, BrokerUnavailableError, TaskIDConflictError
from tests.proxy import Answer, Cut, Proxy


@pytest.fixture
async def durable(proxy: Proxy) -> AsyncGenerator[Client]:
    """A client through the proxy, that wants one replica."""
    async with Client(proxy.url, durability="replica", replica_timeout=0.2) as client:
        yield client


async def test_a_task_that_a_replica_has_is_enqueued(durable: Client, proxy: Proxy) -> None:
    proxy.inject(Answer(b":1\r\n"), at=b"WAIT", times=2)

    assert (await durable.enqueue(Task("t"), task_id="a")).id == "a"


async def test_a_task_that_no_replica_has_is_stored_but_told(
    durable: Client, proxy: Proxy, redis: Redis
) -> None:
    proxy.inject(Answer(b":0\r\n"), at=b"WAIT", times=2)

    with pytest.raises(NotReplicatedError, match="0 of 1 replicas") as caught:
        await durable.enqueue(Task("t"), queue="q", task_id="a")

    error = caught.value
    assert (error.queue, error.task_id, error.acknowledged, error.wanted) == ("q", "a", 0, 1)
    assert await redis.lrange("asynq:{q}:pending", 0, -1) == [b"a"]


async def test_of_many_tasks_each_is_told_by_itself(durable: Client, proxy: Proxy) -> None:
    await redis_knows_the_script(durable, proxy)
    proxy.inject(Answer(b":0\r\n"), at=b"WAIT")

    first, second = await durable.enqueue_many([Task("t", task_id="warm"), Task("t", task_id="b")])

    assert isinstance(first, TaskIDConflictError)
    assert isinstance(second, NotReplicatedError)


async def redis_knows_the_script(durable: Client, proxy: Proxy) -> None:
    proxy.inject(Answer(b":1\r\n"), at=b"WAIT", times=2)
    await durable.enqueue(Task("t"), task_id="warm")
    proxy.forget_faults()


async def test_replicas_are_asked_in_the_same_write_and_on_the_same_connection(
    durable: Client, proxy: Proxy
) -> None:
    await redis_knows_the_script(durable, proxy)
    proxy.requests.clear()
    proxy.inject(Answer(b":1\r\n"), at=b"WAIT")

    await asyncio.gather(*(durable.enqueue(Task("t"), task_id=str(n)) for n in range(20)))

    assert [request[0] for request in proxy.requests] == [b"EVALSHA", b"WAIT"]
    assert proxy.requests[1] == [b"WAIT", b"1", b"200"]
    assert proxy.connected == 1


async def test_a_script_that_redis_did_not_know_is_waited_for_again(
    durable: Client, proxy: Proxy, redis: Redis
) -> None:
    await redis.script_flush()
    proxy.inject(Answer(b":1\r\n"), at=b"WAIT")  # before the script has run: worth nothing
    proxy.inject(Answer(b":0\r\n"), at=b"WAIT")

    with pytest.raises(NotReplicatedError):
        await durable.enqueue(Task("t"))
    assert [request[0] for request in proxy.requests[-4:]] == [b"EVALSHA", b"WAIT", b"EVAL", b"WAIT"]


async def test_a_lost_answer_about_replicas_is_asked_for_again_and_stores_nothing_twice(
    durable: Client, proxy: Proxy, redis: Redis
) -> None:
    await redis_knows_the_script(durable, proxy)
    proxy.inject(Cut(), at=b"WAIT")
    proxy.inject(Answer(b":1\r\n"), at=b"WAIT")

    await durable.enqueue(Task("t"), queue="q", task_id="a")

    assert await redis.lrange("asynq:{q}:pending", 0, -1) == [b"a"]


async def test_a_master_demoted_meanwhile_cannot_vouch_for_the_task(durable: Client, proxy: Proxy) -> None:
    await redis_knows_the_script(durable, proxy)
    demoted = b"-UNBLOCKED force unblock from blocking operation, instance state changed\r\n"
    proxy.inject(Answer(demoted), at=b"WAIT")
    proxy.inject(Answer(b":1\r\n"), at=b"WAIT")

    assert (await durable.enqueue(Task("t"), task_id="a")).id == "a"  # asked for again


async def test_a_user_who_may_not_ask_replicas_is_told(durable: Client, proxy: Proxy) -> None:
    proxy.inject(
        Answer(b"-NOPERM this user has no permissions to run the 'wait' command\r\n"), at=b"WAIT", times=2
    )

    with pytest.raises(BrokerError, match="denies access"):
        await durable.enqueue(Task("t"))


async def test_with_real_replicas_or_none_the_truth_is_told(redis_url: str, server_kind: str) -> None:
    has_replicas = server_kind in ("sentinel", "cluster")
    async with Client(redis_url, durability="replica", replica_timeout=1.5) as client:
        if has_replicas:
            await client.enqueue(Task("t"))
        else:
            with pytest.raises(NotReplicatedError):
                await client.enqueue(Task("t"))
    async with Client(redis_url, durability="replica", replicas=7, replica_timeout=0.1) as client:
        with pytest.raises(NotReplicatedError) as caught:
            await client.enqueue(Task("t"))
        assert caught.value.wanted == 7
        assert caught.value.acknowledged <= 1


def test_plain_code_gets_the_same(redis_url: str) -> None:
    client = SyncClient(redis_url, durability="replica", replicas=7, replica_timeout=0.1)
    with client, pytest.raises(NotReplicatedError):
        client.enqueue(Task("t"))


async def test_an_absent_redis_is_told_as_ever(durable: Client, proxy: Proxy) -> None:
    proxy.is_refusing = True
    async with Client(proxy.url, timeout=0.5, durability="replica", replica_timeout=0.1) as client:
        with pytest.raises(BrokerUnavailableError):
            await client.enqueue(Task("t"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("durability", "all"),
        ("replicas", 0),
        ("replicas", True),
        ("replica_timeout", 0),
        ("replica_timeout", 2.5),
    ],
)
def test_a_bad_wish_is_refused_at_once(option: str, value: Any) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        Client("redis://", **{"durability": "replica", option: value})
    assert caught.value.option == option
