"""embedded:// with real processes: who shares a server, how long it lives, and what it leaves behind."""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import redis as driver

from asynq_py import AsynqError, Client, Inspector, SyncClient, Task, TaskIDConflictError
from asynq_py.embedded import EmbeddedServer

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes as Linux allows")

USER = """
import sys
from pathlib import Path
from asynq_py import SyncClient, Task, TaskIDConflictError
from asynq_py.embedded import EmbeddedServer

url, task_id = sys.argv[1:]
with SyncClient(url) as client:
    try:
        client.enqueue(Task("t"), task_id=task_id)
    except TaskIDConflictError:
        task_id = "was there"
    server = EmbeddedServer(Path(url[len("embedded://"):]) if url != "embedded://" else None)
    print(task_id, server.acquire(), flush=True)
    sys.stdin.read()
    server.release()
"""


class User:
    """A process that has enqueued a task and stays until told to leave, or killed."""

    def __init__(self, url: str, task_id: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, url, task_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> tuple[str, Path]:
        """What became of its task, and the socket of its server."""
        assert self.process.stdout is not None
        told, _, path = self.process.stdout.readline().strip().partition(" /")
        return told, Path("/" + path)

    def leave(self) -> None:
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


StartUser = Callable[..., User]


@pytest.fixture
def user() -> Generator[StartUser]:
    started: list[User] = []

    def start(url: str, task_id: str = "a") -> User:
        started.append(User(url, task_id))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def server_of(path: Path) -> tuple[int, int]:
    """The process IDs of the server at a socket and of its guardian."""
    with driver.Redis(unix_socket_path=str(path)) as redis:
        info = redis.info("server")
    assert isinstance(info, dict)
    pid = int(info["process_id"])
    status = Path(f"/proc/{pid}/status").read_text()
    return pid, int(status.partition("PPid:")[2].split()[0])


def wait_for_end(*pids: int) -> None:
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([process], [], [], 20)
        os.close(process)
        assert ended, f"process {pid} still lives"


def test_by_default_every_process_has_a_temporary_server_of_its_own(user: StartUser) -> None:
    users = [user("embedded://"), user("embedded://")]
    paths = [one.ready()[1] for one in users]
    servers = [server_of(path) for path in paths]
    assert len(set(paths)) == len(set(servers)) == 2

    users[0].leave()
    users[1].kill()

    wait_for_end(*servers[0], *servers[1])
    assert not any(path.parent.exists() for path in paths)


@pytest.mark.leaves("threads", "files")  # the server itself, and the lock of its directory
async def test_within_a_process_the_temporary_server_outlives_its_users() -> None:
    async with Client("embedded://") as client:
        await client.enqueue(Task("t"), queue="outlives", task_id="a")

    async with Client("embedded://") as client, Inspector("embedded://") as inspector:
        with pytest.raises(TaskIDConflictError):
            await client.enqueue(Task("t"), queue="outlives", task_id="a")
        assert (await inspector.task_info("outlives", "a")).id == "a"


def test_with_a_path_the_data_lasts(user: StartUser, tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}/data"
    first = user(url)
    told, path = first.ready()
    pids = server_of(path)
    first.leave()
    wait_for_end(*pids)
    assert told == "a"
    assert not path.exists()

    second = user(url)

    assert second.ready()[0] == "was there"
    assert server_of(path) != pids
    second.leave()


def test_processes_that_name_the_same_path_share_a_server_until_the_last_one_leaves(
    user: StartUser, tmp_path: Path
) -> None:
    url = f"embedded://{tmp_path}"
    first, second = user(url), user(url)
    path = first.ready()[1]
    assert second.ready()[1] == path
    pids = server_of(path)

    first.leave()
    third = user(url, "c")
    assert third.ready() == ("c", path)
    assert server_of(path) == pids
    second.leave()
    assert server_of(path) == pids

    third.leave()
    wait_for_end(*pids)
    assert not path.exists()


def test_many_that_start_at_once_get_one_server(user: StartUser, tmp_path: Path) -> None:
    users = [user(f"embedded://{tmp_path}", f"task {n}") for n in range(5)]

    paths = {one.ready()[1] for one in users}

    assert len(paths) == 1
    with driver.Redis(unix_socket_path=str(paths.pop())) as redis:
        assert redis.llen("asynq:{default}:pending") == 5


def test_a_killed_user_keeps_no_server_alive_and_loses_no_data(user: StartUser, tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}"
    first = user(url)
    path = first.ready()[1]
    pids = server_of(path)

    first.kill()

    wait_for_end(*pids)
    assert not path.exists()
    assert user(url).ready()[0] == "was there"


def test_a_killed_guardian_takes_the_server_along_and_the_next_user_starts_both(
    user: StartUser, tmp_path: Path
) -> None:
    url = f"embedded://{tmp_path}"
    path = user(url).ready()[1]
    server, guardian = server_of(path)

    os.kill(guardian, signal.SIGKILL)

    wait_for_end(guardian, server)
    assert user(url).ready() == ("was there", path)
    assert server_of(path) != (server, guardian)


def test_a_killed_server_comes_back_with_its_data(tmp_path: Path) -> None:
    embedded = EmbeddedServer(tmp_path)
    path = embedded.acquire()
    with SyncClient(f"embedded://{tmp_path}") as client:
        client.enqueue(Task("t"), task_id="a")
        pids = server_of(path)
        os.kill(pids[0], signal.SIGKILL)
        wait_for_end(pids[0])

        assert embedded.acquire() == path
        with pytest.raises(TaskIDConflictError):
            client.enqueue(Task("t"), task_id="a")
        assert server_of(path)[1] == pids[1]

    pids = server_of(path)
    embedded.release()
    embedded.release()
    wait_for_end(*pids)


def test_a_path_too_long_for_a_socket_has_it_elsewhere(tmp_path: Path) -> None:
    embedded = EmbeddedServer(tmp_path / ("long" * 30))
    path = embedded.acquire()
    pids = server_of(path)
    assert len(os.fsencode(path)) < 104

    embedded.release()

    wait_for_end(*pids)
    assert not path.exists()


def test_an_absent_extra_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(AsynqError, match=r"asynq-py\[embedded\]"):
        EmbeddedServer(tmp_path).acquire()
