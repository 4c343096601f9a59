"""Worker processes under one supervisor: started, replaced, ended, and never left behind. F21, F31."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from asynq_py import Client, InvalidOptionError, ServeMux, Server, Supervisor, Task
from asynq_py.wire.messages import ServerInfo
from tests.books import Books, books, books_become
from tests.end_to_end.processes import ROOT, end
from tests.eventually import eventually

Start = Callable[[str], Awaitable[Process]]
PROCESSES = 3


@pytest.fixture
async def start(redis_url: str) -> AsyncGenerator[Start]:
    async with AsyncExitStack() as stack:

        async def start(kind: str) -> Process:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "tests.end_to_end.supervised"),
                *(redis_url, str(PROCESSES), kind),
                cwd=ROOT,
            )
            stack.push_async_callback(end, process)
            return process

        yield start


async def pids(redis: Redis) -> set[int]:
    """Of the servers that say they live."""
    names = await redis.zrange("asynq:servers", 0, -1)
    found = [await redis.get(str(name, "ascii")) for name in names if isinstance(name, bytes)]
    return {ServerInfo.FromString(data).pid for data in found if isinstance(data, bytes)}


async def all_serve(redis: Redis) -> set[int]:
    return await eventually(lambda: pids(redis), lambda seen: len(seen) == PROCESSES)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def none_lives(workers: set[int]) -> None:
    async def living() -> set[int]:
        return {pid for pid in workers if lives(pid)}

    await eventually(living, lambda seen: not seen)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
async def test_all_processes_end_with_the_supervisor_and_what_runs_is_finished(
    start: Start, redis: Redis, client: Client, ending: signal.Signals
) -> None:
    supervisor = await start("works")
    workers = await all_serve(redis)
    await client.enqueue_many([Task("t", "0.5", task_id=str(n)) for n in range(5 * PROCESSES)])
    await eventually(lambda: books(redis), lambda seen: len(seen.active) == 5 * PROCESSES)

    supervisor.send_signal(ending)

    assert await supervisor.wait() == 0
    assert await books(redis) == Books(processed=5 * PROCESSES)
    await none_lives(workers)


async def test_a_process_that_dies_is_replaced_and_its_task_runs_again(start: Start, redis: Redis) -> None:
    await start("works")
    before = await all_serve(redis)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)

    await eventually(lambda: pids(redis), lambda seen: len(seen - before) == 1)
    assert not lives(victim)


async def test_a_poison_pill_takes_no_more_than_three_processes(
    start: Start, redis: Redis, client: Client
) -> None:
    await client.enqueue(Task("die", task_id="poison"))
    supervisor = await start("works")

    await books_become(redis, Books(archived={"poison"}, processed=1, failed=1), within=40)
    assert supervisor.returncode is None


async def test_no_orphan_is_left_when_the_supervisor_is_killed(start: Start, redis: Redis) -> None:
    supervisor = await start("works")
    workers = await all_serve(redis)
    supervisor.kill()

    await none_lives(workers)
    assert await pids(redis) == set()  # they took their leave


async def test_a_program_that_cannot_start_ends_with_its_own_code(start: Start) -> None:
    supervisor = await start("breaks")
    assert await supervisor.wait() == 78


@pytest.mark.parametrize("processes", [0, -1, True, 1.5])
def test_a_number_of_processes_that_makes_no_sense_is_refused(processes: int) -> None:
    with pytest.raises(InvalidOptionError, match="processes"):
        Supervisor(Server, processes=processes)  # type: ignore[arg-type]


def test_a_function_that_other_processes_cannot_import_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match=r"^make_server=.* named in a module"):
        Supervisor(lambda: Server(None, ServeMux()))
