"""Threads for plain handlers."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import TypeVar

import pytest

from asynq_py.server.threads import Threads

T = TypeVar("T")
PATIENCE = 10.0  # seconds until a test that hangs gives up


async def _answer(future: Future[T]) -> T:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.wrap_future(future)


class Gate:
    """A function that waits in its thread until the test opens."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self) -> threading.Thread:
        self.entered.release()
        assert self.opened.wait(PATIENCE)
        return threading.current_thread()

    async def has_been_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=PATIENCE)


@pytest.fixture
def gate() -> Generator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@contextlib.contextmanager
def _threads(limit: int) -> Generator[Threads]:
    threads = Threads(limit)
    try:
        yield threads
    finally:
        threads.close()


async def test_a_function_runs_in_a_daemon_thread_with_its_arguments_and_the_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")

    def function(a: int, *, b: int) -> tuple[int, str, threading.Thread]:
        return a + b, variable.get(), threading.current_thread()

    with _threads(1) as threads:
        total, seen, thread = await _answer(await threads.submit(function, 1, b=2))
    assert (total, seen) == (3, "mine")
    assert thread.daemon
    assert thread is not threading.current_thread()


async def test_no_more_functions_run_at_once_than_there_are_threads(gate: Gate) -> None:
    with _threads(2) as threads:
        running = [await threads.submit(gate) for _ in range(2)]
        await gate.has_been_entered()
        await gate.has_been_entered()
        third = asyncio.create_task(threads.submit(threading.get_ident))
        await asyncio.sleep(0)
        assert not third.done()
        gate.opened.set()
        for future in running:
            await _answer(future)
        assert await _answer(await third)


async def test_a_thread_is_used_again() -> None:
    with _threads(1) as threads:
        used = {await _answer(await threads.submit(threading.get_ident)) for _ in range(5)}
    assert len(used) == 1


def _raise(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "seen"),
    [(KeyError("k"), KeyError), (SystemExit(1), SystemExit), (StopIteration("s"), RuntimeError)],
)
async def test_an_error_reaches_its_caller_and_costs_no_thread(
    error: BaseException, seen: type[BaseException]
) -> None:
    with _threads(1) as threads:
        future = await threads.submit(_raise(error))
        assert type(await asyncio.to_thread(future.exception, PATIENCE)) is seen
        assert await _answer(await threads.submit(threading.get_ident))


async def test_a_caller_that_is_cancelled_while_it_waits_for_a_thread_takes_none(gate: Gate) -> None:
    with _threads(1) as threads:
        first = await threads.submit(gate)
        waiting = asyncio.create_task(threads.submit(threading.get_ident))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        assert waiting.cancelled()
        gate.opened.set()
        await _answer(first)
        assert await _answer(await threads.submit(threading.get_ident))


async def test_a_future_given_up_while_its_function_runs_costs_no_thread(gate: Gate) -> None:
    with _threads(1) as threads:
        future = await threads.submit(gate)
        await gate.has_been_entered()
        assert not future.cancel()
        given_up = asyncio.wrap_future(future)
        given_up.cancel()
        gate.opened.set()
        assert await _answer(await threads.submit(threading.get_ident))


async def test_close_ends_idle_threads_at_once_and_busy_ones_after_their_function(gate: Gate) -> None:
    threads = Threads(2)
    busy = await threads.submit(gate)
    await gate.has_been_entered()
    idle = await _answer(await threads.submit(threading.current_thread))
    threads.close()
    await asyncio.to_thread(idle.join, PATIENCE)
    assert not idle.is_alive()
    assert not busy.done()
    gate.opened.set()
    thread = await _answer(busy)
    await asyncio.to_thread(thread.join, PATIENCE)
    assert not thread.is_alive()


def test_a_function_that_outlives_the_event_loop_harms_nobody(gate: Gate) -> None:
    async def main() -> Future[threading.Thread]:
        with _threads(1) as threads:
            return await threads.submit(gate)

    future = asyncio.run(main())
    gate.opened.set()
    thread = future.result(PATIENCE)
    thread.join(PATIENCE)
    assert not thread.is_alive()
