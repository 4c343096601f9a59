"""OwnLoop: components on an event loop of their own, in a thread: what blocks ours does not hold it up."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

import anyio

from asynq_py.component import Component, running


class Outside(NamedTuple):
    """Where the thread was started from. `thread`: the number of the one that runs `loop`."""

    loop: asyncio.AbstractEventLoop
    thread: int


class OwnLoop:
    """Itself a component, which starts the thread, ends it by its own end, and raises what fails there.

    `opened` is called in the thread; it makes components with all that they need, and closes that after them.
    """

    def __init__(
        self, opened: Callable[[Outside], AbstractAsyncContextManager[Sequence[Component]]], *, name: str
    ) -> None:
        self._opened = opened
        self._name = name

    async def run(self) -> None:
        outside = Outside(asyncio.get_running_loop(), threading.get_ident())
        ended: asyncio.Future[None] = outside.loop.create_future()
        loop, stop = asyncio.new_event_loop(), asyncio.Event()

        def main() -> None:
            error: BaseException | None = None
            try:
                with asyncio.Runner(loop_factory=lambda: loop) as runner:
                    runner.run(self._live(outside, stop))
            except BaseException as caught:
                error = caught
            _call(outside.loop, lambda: _end(ended, error))

        # a daemon, so that even in the worst case the process can end without it
        thread = threading.Thread(target=main, name=self._name, daemon=True)
        thread.start()
        try:
            await asyncio.shield(ended)
        finally:
            _call(loop, stop.set)
            with anyio.CancelScope(shield=True):
                await asyncio.wait([ended])
            thread.join()  # it has said its last word
            ended.result()

    async def _live(self, outside: Outside, stop: asyncio.Event) -> None:
        async with self._opened(outside) as components, running(*components):
            await stop.wait()


def _call(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # that loop has ended
        loop.call_soon_threadsafe(call)


def _end(ended: asyncio.Future[None], error: BaseException | None) -> None:
    if ended.done():  # the waiting loop is being torn down
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)
