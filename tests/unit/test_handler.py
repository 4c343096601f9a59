"""Any handler becomes awaitable; plain functions go to a thread."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from asynq_py import ActiveTask, InvalidOptionError, ServeMux
from asynq_py.handler import Handler, as_async
from tests.unit.tries import Try, active_task

CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls_yet() -> None:
    CALLS.clear()


async def coroutine(task: ActiveTask) -> None:
    CALLS.append(task.type)


def plain(task: ActiveTask) -> str:
    CALLS.append(task.type)
    return "not kept"


def plain_around_coroutine(task: ActiveTask) -> object:
    return coroutine(task)


async def with_an_argument(more: int, task: ActiveTask) -> None:
    CALLS.append(task.type)


class Plain:
    def __call__(self, task: ActiveTask) -> None:
        plain(task)

    async def method(self, task: ActiveTask) -> None:
        await coroutine(task)


class Async:
    async def __call__(self, task: ActiveTask) -> None:
        await coroutine(task)


@pytest.mark.parametrize(
    ("handler", "threads"),
    [
        (coroutine, 0),
        (functools.partial(with_an_argument, 1), 0),
        (functools.partial(functools.partial(with_an_argument), 1), 0),
        (Async(), 0),
        (Plain().method, 0),
        (plain, 1),
        (functools.partial(plain), 1),
        (lambda task: plain(task), 1),
        (Plain(), 1),
        (plain_around_coroutine, 1),
    ],
)
async def test_a_handler_runs_once_and_in_a_thread_if_it_is_plain(handler: Handler, threads: int) -> None:
    attempt = Try()
    await as_async(handler)(active_task(attempt=attempt))
    assert CALLS == ["t"]
    assert attempt.in_threads == threads


def test_a_coroutine_function_stays_itself_and_a_plain_one_keeps_its_name() -> None:
    assert as_async(coroutine) is coroutine
    assert as_async(plain).__name__ == "plain"


def generator(task: ActiveTask) -> Iterator[int]:
    yield 1


async def async_generator(task: ActiveTask) -> AsyncIterator[int]:
    yield 1


async def of_nothing() -> None: ...


async def of_two(task: ActiveTask, more: object) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [None, "f", 1, generator, async_generator, functools.partial(generator), of_nothing, of_two, ServeMux],
)
def test_what_would_not_run_is_refused(handler: Any) -> None:
    """Calling a generator function runs nothing of it: the task would be lost as done."""
    with pytest.raises(InvalidOptionError, match=r"^handler="):
        as_async(handler)
