"""What stands in a queue: whatever it is, the server lives, other tasks are run, and tools can show it.

Anybody who may enqueue may write all this.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, cast

from redis.asyncio import Redis

from asynq_py import ActiveTask, AsynqError, Client, Inspector, Server, Task
from asynq_py.cli.plain import plain
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import SchedulerEntry, ServerInfo, TaskMessage, WorkerInfo, encode
from tests.servers import plain_client
from tests.verify.fuzz.noise import NUMBERS, TEXTS, mutated_bytes
from tests.verify.fuzz.target import Target

K: Final = QueueKeys("q")
PATIENCE: Final = 60.0
STATES: Final = ("pending", "active", "scheduled", "retry", "archived", "completed", "aggregating")
SPANS: Final = (0, 0, 1, 30, -1, 2**31, 2**53, 2**63 - 1, -(2**63))
COUNTS: Final = (0, 1, 25, -1, 2**31 - 1, -(2**31))
# What may be of another type while the queue can still be served.
BREAKABLE: Final = (
    *(K.scheduled, K.retry, K.archived, K.completed, K.groups, K.aggregation_sets, K.processed, K.failed),
    *(K.group("g"), K.task("a"), K.task("b"), "asynq:schedulers:{x}", "asynq:servers:{x}"),
)
SENTINEL: Final = "sentinel"


class Contents(Target):
    name = "contents of queues"

    def __init__(self, url: str) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._seen = asyncio.Event()
        self._odd_lines: list[str] = []
        self._runner.run(self._start())

    async def _start(self) -> None:
        self._redis = cast(Redis, await self._open.enter_async_context(plain_client(self._url)))
        self._client = await self._open.enter_async_context(Client(self._url))
        self._inspector = await self._open.enter_async_context(Inspector(self._url))
        self._log = _Lines(self._odd_lines)
        logging.getLogger("asynq_py").addHandler(self._log)
        self._server = Server(
            self._url, self._handle, queues={"q": 1}, concurrency=20, lease=2, forward_interval=0.05,
            recover_interval=0.1, poll_interval=0.1, janitor_interval=0.1, group_aggregator=_aggregated,
            group_grace_period=1, group_max_size=2,
        )  # fmt: skip
        await self._open.enter_async_context(self._server)

    def close(self) -> None:
        self._runner.run(self._open.aclose())
        logging.getLogger("asynq_py").removeHandler(self._log)
        self._runner.close()

    def try_one(self, random: random.Random) -> None:
        self._runner.run(self._try(random))

    async def _try(self, random: random.Random) -> None:
        await self._redis.flushall()
        async with self._redis.pipeline(transaction=False) as pipe:
            for number in range(random.randint(1, 20)):
                _put_task(pipe, random, _task_id(random, number))
            for key in random.sample(BREAKABLE, random.choice((0, 0, 1, 3))):
                pipe.delete(key)
                _put_wrong(pipe, random, key)
            _put_processes(pipe, random)
            await pipe.execute(raise_on_error=False)
        self._seen.clear()
        await self._client.enqueue(Task(SENTINEL), queue="q")
        async with asyncio.timeout(PATIENCE):
            await self._seen.wait()
        await self._look(random)
        assert self._server.state == "active", f"the server is {self._server.state}"
        assert not self._odd_lines, f"the log would steer a terminal, or tell lies: {self._odd_lines[:3]!r}"

    async def _handle(self, task: ActiveTask) -> None:
        if task.type == SENTINEL:
            self._seen.set()
            return
        assert repr(task)
        assert (task.headers, task.deadline, task.pending_since, task.group) is not None
        match len(task.payload) % 4:
            case 0:
                await task.write_result(task.payload)
            case 1:
                raise ValueError("\x1b[2J\nERROR a line of its own \ud800")
            case _:
                await asyncio.sleep(0)

    async def _look(self, random: random.Random) -> None:
        """As the tools do: what cannot be shown is an error of ours."""
        inspector = self._inspector
        looks: list[Callable[[], Awaitable[object]]] = [
            lambda: inspector.queue_info("q"), lambda: inspector.history("q", 2),
            lambda: inspector.groups("q"),
            lambda: inspector.list_pending("q"), lambda: inspector.list_active("q"),
            lambda: inspector.list_scheduled("q"), lambda: inspector.list_retry("q"),
            lambda: inspector.list_archived("q"), lambda: inspector.list_completed("q"),
            lambda: inspector.list_aggregating("q", "g"), lambda: inspector.task_info("q", "a"),
            inspector.servers, inspector.scheduler_entries,
            lambda: inspector.list_scheduler_enqueue_events("e"),
        ]  # fmt: skip
        for look in random.sample(looks, 5):
            with suppress(AsynqError):
                plain(await look())


def _aggregated(group: str, tasks: list[Task]) -> Task:
    return Task("aggregated", b"xx")


class _Lines(logging.Handler):
    """Keeps lines that hold more than a line."""

    def __init__(self, odd: list[str]) -> None:
        super().__init__(logging.INFO)
        self._odd = odd

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if not line.isprintable():
            self._odd.append(line)


def _task_id(random: random.Random, number: int) -> str:
    return random.choice(("a", "b", "{}", " ", "a\nb", "\x1b[2J", "é" * 300, f"n{number}", "\udcff"))


def _put_task(pipe: Any, random: random.Random, task_id: str) -> None:
    raw_id = task_id.encode("utf-8", "surrogateescape")
    state, key = random.choice(STATES), K.task_prefix.encode() + raw_id
    fields: dict[str, Any] = {"msg": _message(random, task_id), "state": state}
    for name in ("state", "pending_since", "crashes", "group", "unique_key", "result", "quack"):
        if random.random() < 0.2:
            fields[name] = _noise(random)
    if random.random() < 0.05:
        del fields["msg"]
    score = random.choice((0, 1, 1_700_000_000, 4_000_000_000, 1e300, float("inf"), float("-inf")))
    match state:
        case "pending":
            pipe.rpush(K.pending, raw_id)
        case "active":
            pipe.rpush(K.active, raw_id)
            if random.random() < 0.5:
                pipe.zadd(K.lease, {raw_id: score})
        case "aggregating":
            pipe.sadd(K.groups, "g")
            pipe.zadd(K.group("g"), {raw_id: score})
        case _:
            pipe.zadd(K.prefix + state, {raw_id: score})
    pipe.hset(key, mapping=fields)


def _message(random: random.Random, task_id: str) -> bytes:
    message = TaskMessage(
        type=random.choice(("t", "a\nERROR b", "\x1b[2J", "x" * 1000)), queue="q",
        id=task_id.encode("utf-8", "replace").decode(), payload=random.randbytes(random.randint(0, 9)),
        retry=random.choice(COUNTS), retried=random.choice(COUNTS), timeout=random.choice(SPANS),
        deadline=random.choice(SPANS), retention=random.choice(SPANS), last_failed_at=random.choice(SPANS),
        completed_at=random.choice(SPANS), group_key=random.choice(("", "g", "\n")),
        unique_key=random.choice(("", "asynq:{q}:unique:x", K.pending, K.lease, "\0")),
        headers=random.choice(({}, {"": ""}, {"a" * 1000: "b" * 1000}, {f"h{n}": "v" for n in range(200)})),
    )  # fmt: skip
    data = encode(message)
    return data if random.random() < 0.8 else mutated_bytes(random, data)


def _noise(random: random.Random) -> bytes:
    return random.choice((*NUMBERS, *TEXTS)).encode("utf-8", "surrogatepass")


def _put_wrong(pipe: Any, random: random.Random, key: str) -> None:
    match random.randrange(4):
        case 0:
            pipe.set(key, _noise(random))
        case 1:
            pipe.rpush(key, "a", _noise(random))
        case 2:
            pipe.zadd(key, {"a": 1})
        case _:
            pipe.hset(key, "a", _noise(random))


def _put_processes(pipe: Any, random: random.Random) -> None:
    at = {"seconds": random.choice(SPANS), "nanos": random.choice((0, 2**31 - 1, -(2**31)))}
    server = ServerInfo(server_id="x", queues={"q": 2**31 - 1}, start_time=at, pid=-1)
    worker = WorkerInfo(server_id="x", task_id="\n", start_time=at, deadline=at)
    texts = [
        'Queue("\\UFFFFFFFF")',
        "Deadline(Tue Jan  2 03:04:05 UTC 99999999999)",
        "MaxRetry(9e9)",
        "\x1b(",
    ]
    entry = SchedulerEntry(
        id="e", spec="\n", next_enqueue_time=at, prev_enqueue_time=at, enqueue_options=texts
    )
    pipe.zadd("asynq:servers", {"asynq:servers:{x}": 9e9})
    pipe.zadd("asynq:workers", {"asynq:workers:{x}": 9e9})
    pipe.zadd("asynq:schedulers", {"asynq:schedulers:{x}": 9e9})
    pipe.set(
        "asynq:servers:{x}",
        mutated_bytes(random, encode(server)) if random.random() < 0.5 else encode(server),
    )
    pipe.hset("asynq:workers:{x}", "w", encode(worker))
    pipe.rpush("asynq:schedulers:{x}", encode(entry))
