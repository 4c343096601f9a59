"""Two secrets, a password and a payload, through every failure we know how to provoke: nothing tells them."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    App,
    AsynqError,
    Client,
    Inspector,
    RateLimit,
    RedisConfig,
    Scheduler,
    Semaphore,
    Server,
    SyncClient,
    Task,
)
from asynq_py.wire.keys import QueueKeys
from tests.eventually import eventually
from tests.servers import each_server
from tests.verify.fuzz.texts import URLS

PASSWORD = "p4ssw0rd-canary"
PAYLOAD = "p4yload-canary"
OPTIONS: dict[str, Any] = {"shutdown_timeout": 0.1, "lease": 2.0}
K = QueueKeys("default")


@dataclass
class Told:
    """Everything that was told: texts of errors and objects; the log comes at the end."""

    texts: list[str] = field(default_factory=list)
    errors: int = 0

    async def by(self, failing: Awaitable[object]) -> None:
        """Await what fails, or does not."""
        try:
            self.of(await failing)
        except AsynqError as error:
            self.of_error(error)

    def called(self, failing: Callable[[], object]) -> None:
        try:
            self.of(failing())
        except AsynqError as error:
            self.of_error(error)

    def of_error(self, error: BaseException) -> None:
        self.errors += 1
        self.texts.append("".join(traceback.format_exception(error)))
        for one in _chain(error):
            self.texts += [str(one), repr(one), repr(one.args), repr(vars(one))]

    def of(self, *objects: object) -> None:
        self.texts += [text for one in objects for text in (repr(one), str(one))]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


@pytest.fixture
async def told(caplog: pytest.LogCaptureFixture) -> AsyncGenerator[Told]:
    caplog.set_level(logging.DEBUG)
    told = Told()
    yield told
    everything = "\n".join([*told.texts, caplog.text, *(repr(vars(record)) for record in caplog.records)])
    for secret in (PASSWORD, PAYLOAD):
        at = everything.find(secret)
        assert at < 0, f"{secret!r} is told: …{everything[max(0, at - 300) : at + 100]}…"


@pytest.fixture
async def url(redis: Redis, redis_url: str) -> AsyncGenerator[str]:
    """Of a user who may do all, and has the password."""
    async with each_server(redis) as servers:
        for server in servers:
            await cast(Any, server).execute_command(
                *("ACL", "SETUSER", "keeper", "reset", "on", f">{PASSWORD}", "~*", "&*", "+@all")
            )
    parts = urlsplit(redis_url)
    yield urlunsplit(parts._replace(netloc=f"keeper:{PASSWORD}@{parts.netloc}"))
    async with each_server(redis) as servers:
        for server in servers:
            await cast(Any, server).execute_command("ACL", "DELUSER", "keeper")
            await cast(Any, server).execute_command("ACL", "LOG", "RESET")  # who was refused here


def task(**options: Any) -> Task:
    return Task("t", PAYLOAD, headers={"h": PAYLOAD}, **options)


async def test_by_what_cannot_be_reached_or_is_no_url(told: Told, url: str) -> None:
    wrong = url.replace("keeper:", "nobody:")
    dead = [
        f"redis://u:{PASSWORD}@127.0.0.1:1/0?socket_timeout=0.2",
        f"rediss://u:{PASSWORD}@127.0.0.1:1/0?socket_timeout=0.2",
        f"redis-sentinel://u:{PASSWORD}@127.0.0.1:1/0?master=m&sentinel_password={PASSWORD}&socket_timeout=0.2",
        f"redis-cluster://u:{PASSWORD}@127.0.0.1:1?socket_timeout=0.2",
        f"unix://u:{PASSWORD}@/nonexistent.sock?socket_timeout=0.2",
        f"redis://u:{PASSWORD}@{'a' * 70}.invalid/0?socket_timeout=0.2",
    ]
    for place in (wrong, *dead):
        async with Client(place, timeout=0.2) as client, Inspector(place) as inspector:
            told.of(client, inspector)
            await told.by(client.ping())
            await told.by(client.enqueue(task()))
            await told.by(inspector.queues())
        server, scheduler = Server(place, print, **OPTIONS), Scheduler(place)
        told.of(server, scheduler)
    await told.by(Server(wrong, print, **OPTIONS).serve())
    for known in URLS:
        canary = known.replace("c4n4ry-p4ssw0rd", PASSWORD)
        for bad in (
            canary.replace("redis", "http", 1),
            canary + "?quack=1",
            canary.replace("localhost", "["),
        ):
            told.called(lambda bad=bad: Client(bad))  # type: ignore[misc]  # of a default
    told.called(lambda: Client(PASSWORD))
    told.of(RedisConfig(password=PASSWORD, sentinel_password=PASSWORD))
    told.called(lambda: RedisConfig(password=PASSWORD.encode()))  # type: ignore[arg-type]  # on purpose
    assert told.errors > 30


async def test_by_what_redis_refuses(told: Told, url: str, redis: Redis) -> None:
    async with Client(url, timeout=0.2) as client, Inspector(url) as inspector:
        told.of(task(), await client.enqueue(task(), task_id="a", unique=60))
        await told.by(client.enqueue(task(), task_id="a"))
        await told.by(client.enqueue(task(), unique=60))
        told.of(*await client.enqueue_many([task(task_id="a"), task()]))
        await told.by(inspector.update_task_payload("default", "a", PAYLOAD))
        told.of(await inspector.task_info("default", "a"), *await inspector.list_pending("default"))
        await redis.delete(K.pending)
        await redis.set(K.pending, PAYLOAD)
        await told.by(client.enqueue(task()))
        await told.by(inspector.list_pending("default"))
        await redis.hset(K.task("b"), mapping={"msg": PAYLOAD, "state": PAYLOAD})
        await told.by(inspector.task_info("default", "b"))
        await redis.set(K.task("c"), PAYLOAD)
        await told.by(inspector.task_info("default", "c"))
    for wrong in ({"task_id": ""}, {"timeout": -1}, {"quack": 1}, {"queue": "{}"}):
        told.called(lambda wrong=wrong: task(**wrong))  # type: ignore[misc]  # of a default
    told.called(lambda: Task("t", {PAYLOAD: object()}))
    told.called(lambda: Task("t", PAYLOAD + "\ud800"))
    told.called(lambda: Task("t", headers={"h": PAYLOAD + "\ud800"}))
    assert told.errors > 10


async def test_by_a_server_whose_tasks_fail_in_all_ways(told: Told, url: str, redis: Redis) -> None:
    app = App(url)

    @app.task
    async def typed(number: int) -> int:
        return cast(int, object())

    ends: dict[str, BaseException] = {
        "fails": ValueError("x"), "exits": SystemExit(3), "deep": RecursionError("x"),
        "group": ExceptionGroup("x", [OSError()]),
    }  # fmt: skip
    begun = asyncio.Event()

    async def handler(active: ActiveTask) -> None:
        told.of(active)
        if active.type in ends:
            raise ends[active.type]
        if active.type == "lost":
            await redis.zrem(K.lease, active.id)
            with suppress(AsynqError):
                await active.write_result(PAYLOAD.encode())
        if active.type == "stays":
            begun.set()
            await asyncio.Event().wait()
        if active.type == "slow":
            await asyncio.sleep(60)

    async with Client(url) as client:
        for kind in (*ends, "lost", "stays"):
            await client.enqueue(Task(kind, PAYLOAD, headers={PAYLOAD: PAYLOAD}))
        await client.enqueue(Task("slow", PAYLOAD, timeout=1))
        await client.enqueue(Task("typed", f'{{"number": "{PAYLOAD}"}}'), queue="typed")
        await client.enqueue(Task("typed", PAYLOAD), queue="typed")
        await client.enqueue(Task("typed", '{"number": 1}', retention=60), queue="typed")
        await redis.hset(K.task("bad"), mapping={"msg": PAYLOAD, "state": "pending"})
        await redis.lpush(K.pending, "bad")
        async with Server(url, handler, **OPTIONS), app.server(queues=["typed"], **OPTIONS):
            await begun.wait()
            for key in (K.pending, QueueKeys("typed").pending):
                await eventually(lambda key=key: redis.llen(key), lambda left: left == 0)  # type: ignore[misc]
            await eventually(lambda: redis.zcard(K.retry), lambda n: n >= 2)
    await told.by(typed.enqueue(cast(int, PAYLOAD)))
    await app.aclose()


async def test_by_limits_and_plain_code(told: Told, url: str, one_server: str) -> None:
    async with RateLimit(url, "1/m", name="n") as limit, Semaphore(url, "s", 1) as semaphore:
        told.of(limit, semaphore, await limit.try_acquire())
    with suppress(AsynqError):
        RateLimit(url, PAYLOAD[:0] + "x", name="n")

    def plainly() -> None:
        with SyncClient(url) as client:
            told.of(client, client.enqueue(task(task_id="a")))
            told.called(lambda: client.enqueue(task(task_id="a")))

    await asyncio.to_thread(plainly)
    assert told.errors == 1
