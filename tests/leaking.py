"""Tests that leave something behind, for tests/test_leaks.py, which runs them in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Generator
from typing import IO, Any

import pytest

KEPT: list[Any] = []


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _thread(*, seconds: float | None = None) -> threading.Thread:
    thread = threading.Thread(target=threading.Event().wait, args=(seconds,), daemon=True, name="lingering")
    thread.start()
    return thread


async def test_task() -> None:
    KEPT.append(asyncio.create_task(_for_ever()))


def test_task_of_a_loop_of_its_own() -> None:
    async def main() -> None:
        KEPT.append(asyncio.create_task(_for_ever()))

    asyncio.run(main())


@pytest.fixture
async def careless() -> AsyncGenerator[None]:
    task = asyncio.create_task(_for_ever())
    yield
    KEPT.append(task)


def test_task_of_a_fixture(careless: None) -> None:
    pass


def test_thread() -> None:
    _thread()


def test_file() -> None:
    KEPT.append(tempfile.TemporaryFile())  # noqa: SIM115 - this is what it is for


def test_socket() -> None:
    KEPT.append(socket.socket())


async def test_connection() -> None:
    async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0) as server:
        KEPT.append(socket.create_connection(server.sockets[0].getsockname()))


def test_coroutine() -> None:
    _for_ever()  # type: ignore[unused-coroutine]


def test_forgotten_socket() -> None:
    socket.socket()


def test_failure_that_leaves_something_behind() -> None:
    _thread()
    pytest.fail("on purpose")


@pytest.mark.leaves("thread")
def test_mark_with_a_mistake() -> None:
    pass


# -- nothing to blame -----------------------------------------------------------------------------------


async def test_good_task() -> None:
    task = asyncio.create_task(_for_ever())
    await asyncio.sleep(0)
    task.cancel()  # and so it is ending


def test_good_thread() -> None:
    _thread(seconds=0.2)


def test_good_file() -> None:
    with tempfile.TemporaryFile(), socket.socket():
        pass


def test_good_warning() -> None:
    with pytest.warns(UserWarning, match="expected"):
        warnings.warn("expected", stacklevel=1)


@pytest.fixture(scope="module")
def shared() -> Generator[IO[bytes]]:
    _thread()
    with tempfile.TemporaryFile() as file:
        yield file


def test_good_use_of_what_outlives_it(shared: IO[bytes]) -> None:
    time.sleep(0)


@pytest.mark.leaves("threads")
def test_good_mark_thread() -> None:
    _thread()


@pytest.mark.leaves("tasks", "files")
async def test_good_mark_others() -> None:
    KEPT.append(asyncio.create_task(_for_ever()))
    KEPT.append(socket.socket())


# -- the last one, as it is blamed for what the garbage collector finds ----------------------------------


def test_last_which_hides_a_coroutine_in_a_circle() -> None:
    circle: list[Any] = [_for_ever()]
    circle.append(circle)
