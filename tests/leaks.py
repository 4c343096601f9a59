"""A test fails that leaves something behind: asyncio tasks, threads, open files and sockets, coroutines.

Loaded by tests/conftest.py. Warnings are errors (pyproject.toml), so a coroutine that nobody awaits and a
socket that nobody closes fail a test when they are collected as garbage; here the garbage is collected while
it is known which module made it. A test that must leave something behind says what:
`@pytest.mark.leaves("threads")`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from asyncio import runners
from collections.abc import Generator
from multiprocessing import resource_tracker
from typing import Any, Final, NamedTuple

import pytest

KINDS: Final = ("tasks", "threads", "files")
TURNS: Final = 20  # turns of its loop in which a task that is ending may end
DESCRIPTORS: Final = "/proc/self/fd"


class LeakError(Exception):
    """A test left something behind."""


class Watch:
    """What there was before a test, and which asyncio tasks its event loops had left when they were closed.

    `patience`: seconds in which what is just ending may end.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.is_watching = False
        self.threads: set[threading.Thread] = set()
        self.files: set[OpenFile] = set()
        self.tasks: list[str] = []

    def begin(self) -> None:
        self.is_watching = True
        self.threads = set(threading.enumerate())
        self.files = _open_files()
        self.tasks.clear()

    def leaks(self, allowed: set[str]) -> list[str]:
        """What is there that was not there before."""
        self.is_watching = False
        found = [] if "tasks" in allowed else [f"asyncio task {task}" for task in self.tasks]
        if self._is_clean(allowed):
            return found
        give_up_at = time.monotonic() + self._patience
        while not self._is_clean(allowed) and time.monotonic() < give_up_at:
            gc.collect()  # what only circles keep is no leak
            time.sleep(0.01)
        if "threads" not in allowed:
            found += [f"thread {thread.name!r}" for thread in self._new_threads()]
        if "files" not in allowed:
            found += [f"open file {file.number}: {file.target}" for file in self._new_files()]
        return found

    def _is_clean(self, allowed: set[str]) -> bool:
        return ("threads" in allowed or not self._new_threads()) and (
            "files" in allowed or not self._new_files()
        )

    def _new_threads(self) -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread not in self.threads}

    def _new_files(self) -> set[OpenFile]:
        # multiprocessing keeps a pipe to a helper of its own until the process ends
        kept = getattr(resource_tracker._resource_tracker, "_fd", None)
        return {file for file in _open_files() - self.files if file.number != kept}


class OpenFile(NamedTuple):
    """`target`: what it is, with a number that no other pipe or socket has."""

    number: int
    target: str


def _open_files() -> set[OpenFile]:
    """On systems that do not tell them none."""
    found: set[OpenFile] = set()
    with contextlib.suppress(FileNotFoundError):
        for number in os.listdir(DESCRIPTORS):
            with contextlib.suppress(OSError):  # that by which they were listed is closed again
                found.add(OpenFile(int(number), os.readlink(f"{DESCRIPTORS}/{number}")))
    return found


WATCH: Final = pytest.StashKey[Watch]()
FAILED: Final = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("leak_patience", "seconds in which what a test left may end", default="5")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"leaves(*kinds): may leave something behind; kinds: {', '.join(KINDS)}"
    )
    watch = config.stash[WATCH] = Watch(float(config.getini("leak_patience")))
    cancel_all = runners._cancel_all_tasks  # type: ignore[attr-defined]  # where a loop knows what is left

    def note_and_cancel_all(loop: asyncio.AbstractEventLoop) -> None:
        if watch.is_watching and asyncio.all_tasks(loop):
            loop.run_until_complete(_turns())
            watch.tasks += map(repr, asyncio.all_tasks(loop))
        cancel_all(loop)

    def put_back() -> None:
        runners._cancel_all_tasks = cancel_all  # type: ignore[attr-defined]

    runners._cancel_all_tasks = note_and_cancel_all  # type: ignore[attr-defined]
    config.add_cleanup(put_back)


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


def pytest_collection_finish() -> None:
    """What was imported is no garbage: a collection need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _garbage() -> Generator[None]:
    """What this module's tests left to the garbage collector is blamed on them."""
    yield
    gc.collect()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    watch = item.config.stash[WATCH]
    watch.begin()
    watch.is_watching = "tasks" not in _allowed(item)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """What outlives a test with the fixture that made it is not the test's."""
    if fixturedef.scope == "function":
        return (yield)
    threads, files = set(threading.enumerate()), _open_files()
    value = yield
    watch = request.config.stash[WATCH]
    watch.threads |= set(threading.enumerate()) - threads
    watch.files |= _open_files() - files
    return value


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not report.passed:
        item.stash[FAILED] = True
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    yield
    if item.stash.get(FAILED, False):  # it did not come to its end
        return
    allowed = _allowed(item)
    if allowed - set(KINDS):
        raise ValueError(f"a test leaves {', '.join(KINDS)}, not {', '.join(allowed)}")
    leaks = item.config.stash[WATCH].leaks(allowed)
    if leaks:
        raise LeakError("left behind: " + "; ".join(leaks))


def _allowed(item: pytest.Item) -> set[str]:
    return {kind for mark in item.iter_markers("leaves") for kind in mark.args}
