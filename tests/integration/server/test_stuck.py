"""Handlers that do not end when they are cancelled. F35, F36."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, ServerOptions, ServerState, ServerStateError, Task
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become
from tests.clock import ManualClock
from tests.eventually import eventually

T = TypeVar("T")
KEYS = QueueKeys("default")
ONE: ServerOptions = {"concurrency": 1, "cancel_grace": 0.2, "lease": 8.0}


class Defiant:
    """Task "stuck" swallows each cancelation until `may_end`; others end at once."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.started = asyncio.Event()
        self.cancelations = 0
        self.ran: list[str] = []

    async def __call__(self, task: ActiveTask) -> None:
        self.ran.append(task.id)
        if task.id != "stuck":
            return
        self.started.set()
        while not self.may_end.is_set():
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.cancelations += 1


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [r.getMessage() for r in caplog.records if r.name == "asynq_py.server.slots"]


async def enqueue(client: Client) -> None:
    await client.enqueue(Task("t", task_id="stuck", timeout=1, max_retry=0))
    await client.enqueue(Task("t", task_id="next"))


async def test_a_stuck_handler_keeps_slot_and_lease_and_is_reported_once_with_its_stack(
    redis_url: str, redis: Redis, client: Client, errors: Callable[[], list[str]]
) -> None:
    await enqueue(client)
    handler = Defiant()
    async with Server(redis_url, handler, **ONE):
        await eventually(lambda: _value(handler.cancelations), lambda count: count >= 4)
        first = await redis.zscore(KEYS.lease, "stuck") or 0.0
        await eventually(lambda: redis.zscore(KEYS.lease, "stuck"), lambda score: (score or 0.0) > first)
        (said,) = errors()
        assert await books(redis) == Books(active=("stuck",), pending=("next",))
        handler.may_end.set()
        await books_become(redis, Books(processed=2))

    assert "task stuck (t) in 'default' has not ended 0.2 s after it was cancelled (timeout)" in said
    assert "it keeps its slot and its lease. Now 1 are stuck" in said
    assert "in __call__\n    await self.may_end.wait()" in said
    assert errors()[1:] == ["task stuck (t) in 'default' has ended after all"]


async def test_the_slot_of_a_stuck_handler_can_be_released_while_the_task_stays_ours(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await enqueue(client)
    handler = Defiant()
    options: ServerOptions = {**ONE, "on_stuck": "release"}
    async with Server(redis_url, handler, **options):
        await books_become(redis, Books(active=("stuck",), processed=1))
        first = await redis.zscore(KEYS.lease, "stuck") or 0.0
        await eventually(lambda: redis.zscore(KEYS.lease, "stuck"), lambda score: (score or 0.0) > first)
        handler.may_end.set()
        await books_become(redis, Books(processed=2))  # its own end still counts
        await client.enqueue_many([Task("t", task_id=str(n)) for n in range(3)])
        await books_become(redis, Books(processed=5))
    assert handler.ran == ["stuck", "next", "0", "1", "2"]


async def test_a_stuck_handler_can_end_the_server_which_lets_the_others_finish(
    redis_url: str, redis: Redis, client: Client
) -> None:
    handler, other_may_end = Defiant(), asyncio.Event()

    async def handle(task: ActiveTask) -> None:
        await (other_may_end.wait() if task.id == "other" else handler(task))

    await enqueue(client)
    await client.enqueue(Task("t", task_id="other"))
    server = Server(
        redis_url,
        handle,
        concurrency=3,
        cancel_grace=0.2,
        on_stuck="exit",
        shutdown_timeout=30,
        handle_signals=False,
    )
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: _value(server.state), lambda state: state is ServerState.CLOSED)
    await client.enqueue(Task("t", task_id="too late"))
    other_may_end.set()

    with pytest.raises(ServerStateError, match=r"task stuck \(t\).* is stuck"):
        await asyncio.wait_for(serving, 20)
    assert await books(redis) == Books(active=("stuck",), pending=("too late",), processed=2)
    handler.may_end.set()


async def test_a_stuck_handler_keeps_no_server_from_ending_and_its_task_is_not_handed_back(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F36: two runs at once would be worse than a wait for the lease."""
    await client.enqueue(Task("t", task_id="stuck"))
    handler = Defiant()
    async with asyncio.timeout(20):
        async with Server(redis_url, handler, shutdown_timeout=0, cancel_grace=0.2, retry_delay=_minute):
            await handler.started.wait()
        assert await books(redis) == Books(active=("stuck",))

        running = asyncio.all_tasks()
        handler.may_end.set()
        await asyncio.wait(running - {_this_task()}, timeout=15)
    assert await books(redis) == Books(active=("stuck",))  # nor does it write anything later


async def test_a_stuck_handler_is_left_behind_though_its_task_has_come_to_the_same_server_again(
    redis_url: str, redis: Redis, client: Client, clock: ManualClock, errors: Callable[[], list[str]]
) -> None:
    """Others had recovered the task, as its lease was over: the newer try must not hide the older one."""
    await client.enqueue(Task("t", task_id="stuck"))
    handler = Defiant()
    options: ServerOptions = {"clock": clock, "shutdown_timeout": 0, "cancel_grace": 0.2}
    async with asyncio.timeout(20):
        async with Server(redis_url, handler, **options):
            await handler.started.wait()
            async with redis.pipeline() as together:
                together.lrem(KEYS.active, 1, "stuck")
                together.zrem(KEYS.lease, "stuck")
                together.hset(KEYS.task("stuck"), "state", "pending")
                together.rpush(KEYS.pending, "stuck")
                await together.execute()
            await eventually(lambda: _value(len(handler.ran)), lambda count: count == 2)
    assert [error.startswith("left behind task stuck") for error in errors()].count(True) == 2
    handler.may_end.set()


async def test_a_cancelled_server_does_not_wait_for_a_stuck_handler_either(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await client.enqueue(Task("t", task_id="stuck"))
    handler = Defiant()
    server = Server(redis_url, handler, cancel_grace=0.2, handle_signals=False)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        await handler.started.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    assert await books(redis) == Books(active=("stuck",))
    handler.may_end.set()


async def test_a_keyboard_interrupt_of_a_handler_fails_its_task_and_ends_the_server_in_order(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F35."""
    both = asyncio.Barrier(2)

    async def handler(task: ActiveTask) -> None:
        await both.wait()
        if task.id == "a":
            raise KeyboardInterrupt
        await asyncio.sleep(0.1)

    await client.enqueue_many([Task("t", task_id="a"), Task("t", task_id="neighbour")])
    server = Server(redis_url, handler, handle_signals=False)
    await asyncio.wait_for(server.serve(), 20)
    assert await books(redis) == Books(retry={"a"}, processed=2, failed=1)


def _minute(*_: object) -> float:
    return 60.0


def _this_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _value(value: T) -> T:
    return value
