"""Worker processes under one supervisor: started, replaced, ended, and never left behind. F21, F31."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest
from redis.asyncio import Redis

from asynq_py import Client, InvalidOptionError, ServeMux, Server, Supervisor, Task
from asynq_py.wire.messages import ServerInfo
from tests.books import Books, books, books_become
from tests.end_to_end.processes import ROOT, end
from tests.eventually import eventually


class Start(Protocol):
    def __call__(self, kind: str, *more: str, processes: int = 3) -> Awaitable[Process]: ...


PROCESSES = 3


@pytest.fixture
async def start(redis_url: str) -> AsyncGenerator[Start]:
    async with AsyncExitStack() as stack:

        async def start(kind: str, *more: str, processes: int = PROCESSES) -> Process:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "tests.end_to_end.supervised"),
                *(redis_url, str(processes), kind, *more),
                cwd=ROOT,
                start_new_session=True,  # and so a group, as a shell makes one
            )
            stack.push_async_callback(end, process)
            return process

        yield start


async def servers(redis: Redis) -> list[ServerInfo]:
    """Those that say they live."""
    names = await redis.zrange("asynq:servers", 0, -1)
    found = [await redis.get(str(name, "ascii")) for name in names if isinstance(name, bytes)]
    return [ServerInfo.FromString(data) for data in found if isinstance(data, bytes)]


async def pids(redis: Redis) -> set[int]:
    return {server.pid for server in await servers(redis)}


async def states(redis: Redis) -> list[str]:
    return [server.status for server in await servers(redis)]


async def all_serve(redis: Redis) -> set[int]:
    return await eventually(lambda: pids(redis), lambda seen: len(seen) == PROCESSES, within=50)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def none_lives(workers: set[int]) -> None:
    async def living() -> set[int]:
        return {pid for pid in workers if lives(pid)}

    await eventually(living, lambda seen: not seen, within=60)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("ending", ["TERM", "INT", "Ctrl-C"])
async def test_all_processes_end_with_the_supervisor_and_what_runs_is_finished(
    start: Start, redis: Redis, client: Client, tmp_path: Path, ending: str
) -> None:
    """F21: a Ctrl-C in a terminal is for its whole group; told of it twice, processes would hand back."""
    may_end = tmp_path / "may end"
    supervisor = await start("works")
    workers = await all_serve(redis)
    await client.enqueue_many([Task("wait for file", str(may_end)) for n in range(5 * PROCESSES)])
    await eventually(lambda: books(redis), lambda seen: len(seen.active) == 5 * PROCESSES)

    match ending:
        case "TERM":
            supervisor.terminate()
        case "INT":
            supervisor.send_signal(signal.SIGINT)
        case _:
            os.killpg(supervisor.pid, signal.SIGINT)
    await eventually(lambda: states(redis), lambda seen: seen == ["closed"] * PROCESSES)
    may_end.touch()

    assert await supervisor.wait() == 0
    assert await books(redis) == Books(processed=5 * PROCESSES)
    await none_lives(workers)


@pytest.mark.timeout(180)
async def test_a_process_that_dies_is_replaced(start: Start, redis: Redis) -> None:
    await start("works")
    before = await all_serve(redis)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)

    await eventually(lambda: pids(redis), lambda seen: len(seen - before) == 1, within=50)
    assert not lives(victim)


async def _hang(redis: Redis, client: Client, names: Iterable[str]) -> None:
    """Let tasks run that end only when they have lost a worker, until supervisors have been told of them."""
    keys = [f"asynq:{{default}}:t:{name}" for name in names]
    await client.enqueue_many([Task("hang", task_id=name) for name in names])

    async def told() -> int:
        return sum([await redis.hexists(key, "progress") for key in keys])

    await eventually(told, lambda seen: seen == len(keys), within=60)


@pytest.mark.timeout(240)
async def test_what_a_dead_process_ran_runs_again_at_once_whatever_its_lease(
    start: Start, redis: Redis, client: Client
) -> None:
    """F31: leases last for an hour here."""
    await start("holds")
    names = [str(n) for n in range(4 * PROCESSES)]
    await _hang(redis, client, names)
    for pid in await all_serve(redis):
        os.kill(pid, signal.SIGKILL)

    await books_become(redis, Books(processed=len(names)), within=120)


@pytest.mark.timeout(240)
async def test_processes_that_die_over_their_tasks_are_replaced_however_often(
    start: Start, redis: Redis, client: Client
) -> None:
    """F29, F31: six in a row. The first two are those of all four, and then each dies alone."""
    poison = [f"poison {n}" for n in range(4)]
    await client.enqueue_many([Task("die late", task_id=name) for name in poison])
    supervisor = await start("dies", processes=1)

    await books_become(redis, Books(archived=set(poison), processed=4, failed=4), within=200)
    assert supervisor.returncode is None


@pytest.mark.timeout(240)
async def test_what_a_dead_process_ran_is_not_forgotten_when_its_heir_dies_too(
    start: Start, redis: Redis, client: Client, tmp_path: Path
) -> None:
    await start("stumbles", str(tmp_path), processes=1)
    await _hang(redis, client, ["a"])
    (pid,) = await eventually(lambda: pids(redis))
    os.kill(pid, signal.SIGKILL)

    await books_become(redis, Books(processed=1), within=120)
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2"}


@pytest.mark.timeout(180)
async def test_a_poison_pill_takes_no_more_than_three_processes(
    start: Start, redis: Redis, client: Client
) -> None:
    await client.enqueue(Task("die", task_id="poison"))
    supervisor = await start("works")

    await books_become(redis, Books(archived={"poison"}, processed=1, failed=1), within=150)
    assert supervisor.returncode is None


@pytest.mark.timeout(180)
async def test_no_orphan_is_left_when_the_supervisor_is_killed(start: Start, redis: Redis) -> None:
    supervisor = await start("works")
    workers = await all_serve(redis)
    supervisor.kill()

    await none_lives(workers)
    assert await pids(redis) == set()  # they took their leave


@pytest.mark.timeout(240)
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
