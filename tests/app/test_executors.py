"""Functions that run in processes of their own end with them, and their errors arrive."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asynq_py import AsynqError, RetryLater, SkipRetry
from asynq_py.app.executors import Place, Processes
from asynq_py.app.typed_task import TypedTask
from tests.app import places
from tests.eventually import eventually

pytestmark = pytest.mark.timeout(60)


def place(task: TypedTask[..., Any]) -> Place:
    function: Callable[..., Any] | None = task.declaration.function
    assert function is not None
    return Place.of(function)


async def test_a_process_is_used_again() -> None:
    processes = Processes(1)
    first = await processes.call(place(places.pid), [], {})
    assert first != os.getpid()
    assert await processes.call(place(places.pid), [], {}) == first


async def test_no_more_processes_run_than_allowed() -> None:
    processes = Processes(2)
    pids = await asyncio.gather(*(processes.call(place(places.pid), [], {}) for _ in range(6)))
    assert 1 <= len(set(pids)) <= 2


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ("value", ValueError, "no such user"),
        ("skip", SkipRetry, "not ours"),
        ("later", RetryLater, "not yet"),
        ("picky", RuntimeError, "PickyError: picky 1"),
        ("mute", RuntimeError, "MuteError: its text cannot be told"),
        ("lying", RuntimeError, "LyingError: for sure"),
        ("interrupt", RuntimeError, "KeyboardInterrupt"),
        ("cancelled", RuntimeError, "CancelledError: by itself"),
        ("leave", RuntimeError, "SystemExit: 3"),
        ("exit", AsynqError, "the process of fail died with 3"),
    ],
)
async def test_an_error_arrives(how: str, kind: type[Exception], text: str) -> None:
    processes = Processes(1)
    with pytest.raises(kind) as failed:
        await processes.call(place(places.fail), [how], {})
    assert str(failed.value) == text
    if how == "value":
        assert "places.py" in failed.value.__notes__[0]
    if isinstance(failed.value, RetryLater):
        assert failed.value.delay == 60
    assert isinstance(await processes.call(place(places.pid), [], {}), int)


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        (
            "lock",
            "the result does not fit: what give returns cannot be pickled: cannot pickle '_thread.lock'",
        ),
        ("unreadable", "the result of give cannot be read here: invalid literal"),
    ],
)
async def test_a_result_that_cannot_go_from_one_process_to_another_is_not_tried_for_again(
    what: str, problem: str
) -> None:
    processes = Processes(1)
    pid = await processes.call(place(places.pid), [], {})
    with pytest.raises(SkipRetry, match=problem):
        await processes.call(place(places.give), [what], {})
    with pytest.raises(SkipRetry, match="the arguments of give cannot be pickled"):
        await processes.call(place(places.give), [lambda: 1], {})
    assert await processes.call(place(places.pid), [], {}) == pid  # the process is as good as before


async def test_what_is_cancelled_is_killed(tmp_path: Path) -> None:
    processes = Processes(1)
    started = tmp_path / "pid"

    async def begun() -> str:
        return started.read_text("ascii") if started.exists() else ""

    spinning = asyncio.create_task(processes.call(place(places.spin), [str(started)], {}))
    pid = int(await eventually(begun))
    spinning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spinning

    async def is_gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await eventually(is_gone)
    assert await processes.call(place(places.pid), [], {}) != pid


async def test_what_is_cancelled_before_its_process_has_begun_is_killed_as_well() -> None:
    processes = Processes(1)
    call = asyncio.create_task(processes.call(place(places.pid), [], {}))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert isinstance(await processes.call(place(places.pid), [], {}), int)
