"""Python and Go hold tokens of one scope: Go's published extension x/rate, and our Semaphore."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Semaphore
from asynq_py.active_task import set_current_task
from asynq_py.wire.messages import TaskMessage
from tests.interop.build import NoPeerError, semaphore
from tests.unit.tries import Try

pytestmark = pytest.mark.timeout(60, func_only=True)

Go: TypeAlias = Callable[[str, str], Awaitable[dict[str, Any]]]
Become: TypeAlias = Callable[[str], None]


@pytest.fixture
def deadline() -> int:
    """The deadline of every task of a test in Unix seconds: counted from the test, not from the import."""
    return int(time.time()) + 600


@pytest.fixture
def go_semaphore(programs: Path, one_server: str, deadline: int) -> Go:
    """Call Go's semaphore of three tokens. Its Redis client cannot read the map of a Cluster of Redis 7."""
    try:
        program = semaphore(programs)
    except NoPeerError as why:
        pytest.skip(str(why))

    async def call(what: str, task_id: str) -> dict[str, Any]:
        arguments = (what, one_server, "mail", "3", task_id, str(deadline))
        process = await asyncio.create_subprocess_exec(program, *arguments, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0
        answer: dict[str, Any] = json.loads(out)
        return answer

    return call


@pytest.fixture
def become(deadline: int) -> Become:
    """Make the test the handler of a task of the given ID."""

    def call(task_id: str) -> None:
        attempt = Try()
        attempt.deadline = deadline
        set_current_task(ActiveTask(TaskMessage(type="t", id=task_id, queue="q"), attempt))

    return call


async def test_python_and_go_share_the_tokens_of_a_scope(
    go_semaphore: Go, become: Become, one_server: str
) -> None:
    async with Semaphore(one_server, "mail", 3) as ours:
        become("python-1")
        assert await ours.acquire()
        assert await go_semaphore("acquire", "go-1") == {"acquired": True, "error": None}
        become("python-2")
        assert await ours.acquire()
        assert await go_semaphore("acquire", "go-2") == {"acquired": False, "error": None}
        become("python-3")
        assert not await ours.acquire()

        assert await go_semaphore("release", "go-1") == {"acquired": None, "error": None}
        assert await ours.acquire()
        become("python-1")
        await ours.release()
        assert (await go_semaphore("acquire", "go-2"))["acquired"]


async def test_what_python_stores_for_a_token_is_what_go_stores(
    go_semaphore: Go, become: Become, deadline: int, one_server: str, redis: Redis
) -> None:
    async with Semaphore(one_server, "mail", 3) as ours:
        become("python")
        await ours.acquire()
    await go_semaphore("acquire", "go")
    assert await redis.zrange("asynq:sema:mail", 0, -1, withscores=True) == [
        (b"go", deadline),
        (b"python", deadline),
    ]
    assert await redis.keys("*") == [b"asynq:sema:mail"]


async def test_a_token_of_go_whose_deadline_is_over_is_free_for_python(
    go_semaphore: Go, become: Become, one_server: str, redis: Redis
) -> None:
    for number in range(3):
        await redis.zadd("asynq:sema:mail", {f"dead-{number}": int(time.time()) - 5})
    async with Semaphore(one_server, "mail", 3) as ours:
        become("python")
        assert await ours.acquire()
    assert await redis.zrange("asynq:sema:mail", 0, -1) == [b"python"]
    assert (await go_semaphore("acquire", "go"))["acquired"]


async def test_each_language_may_release_only_what_it_holds(
    go_semaphore: Go, become: Become, one_server: str
) -> None:
    async with Semaphore(one_server, "mail", 3) as ours:
        become("python")
        await ours.acquire()
    assert (await go_semaphore("release", "go"))["error"] == 'no token found for task "go"'
    assert (await go_semaphore("release", "python"))["error"] is None  # the same task, in whatever language


async def test_a_task_recovered_from_a_dead_go_worker_keeps_its_token_in_python(
    go_semaphore: Go, become: Become, one_server: str
) -> None:
    for task_id in ("a", "b", "c"):
        await go_semaphore("acquire", task_id)
    assert not (await go_semaphore("acquire", "a"))["acquired"]  # in Go the task would be refused
    async with Semaphore(one_server, "mail", 3) as ours:
        become("a")
        assert await ours.acquire()
