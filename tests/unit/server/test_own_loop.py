"""Components in a thread, on a loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from asynq_py.component import Component, running
from asynq_py.server.own_loop import Outside, OwnLoop

NAME = "own loop under test"


class Part:
    """`fails`: what it ends with as soon as it has begun, if anything."""

    def __init__(self, events: list[str], *, fails: Exception | None = None) -> None:
        self._events = events
        self._fails = fails
        self.began = threading.Event()
        self.thread = 0
        self.loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        self.thread, self.loop = threading.get_ident(), asyncio.get_running_loop()
        self.began.set()
        try:
            if self._fails is not None:
                raise self._fails
            await asyncio.Event().wait()
        finally:
            self._events.append("ended")


def opened(
    part: Part, events: list[str], seen: list[Outside]
) -> Callable[[Outside], AbstractAsyncContextManager[Sequence[Component]]]:
    @asynccontextmanager
    async def opened(outside: Outside) -> AsyncGenerator[Sequence[Component]]:
        seen.append(outside)
        yield (part,)
        events.append("closed")

    return opened


@pytest.fixture
def threads_left() -> Callable[[], list[str]]:
    return lambda: [thread.name for thread in threading.enumerate() if thread.name == NAME]


async def test_a_component_runs_in_another_thread_and_ends_there_before_what_it_needs(
    threads_left: Callable[[], list[str]],
) -> None:
    events: list[str] = []
    seen: list[Outside] = []
    part = Part(events)
    async with running(OwnLoop(opened(part, events, seen), name=NAME)):
        assert await asyncio.to_thread(part.began.wait, 20)
        assert part.thread != threading.get_ident()
        assert part.loop is not asyncio.get_running_loop()
    assert events == ["ended", "closed"]
    assert seen == [Outside(asyncio.get_running_loop(), threading.get_ident())]
    assert threads_left() == []


async def test_a_component_that_is_ended_before_it_began_leaves_nothing_behind(
    threads_left: Callable[[], list[str]],
) -> None:
    events: list[str] = []
    async with running(OwnLoop(opened(Part(events), events, []), name=NAME)):
        await asyncio.sleep(0)  # it starts its thread
    assert events[-1:] == ["closed"]
    assert threads_left() == []


async def test_what_fails_in_the_thread_ends_the_block_and_is_seen(
    threads_left: Callable[[], list[str]],
) -> None:
    events: list[str] = []
    part = Part(events, fails=ZeroDivisionError("a bug"))
    with pytest.raises(BaseExceptionGroup) as caught:
        async with running(OwnLoop(opened(part, events, []), name=NAME)), asyncio.timeout(20):
            await asyncio.Event().wait()
    assert caught.group_contains(ZeroDivisionError, match="a bug")
    assert threads_left() == []
