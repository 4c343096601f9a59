"""Timers: what handlers wait for by the clock of their event loop, on a virtual clock instead.

`asyncio.sleep`, `asyncio.timeout`, `loop.call_later` and the like all ask the loop for its time and a timer.
While timers are in place they answer whoever runs below a handler; for all others the loop stays as it was.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar, Token
from typing import Any, Final, NamedTuple

from asynq_py.testing.virtual_clock import VirtualClock

_ASKED: Final = ("time", "call_at", "call_later")  # of a loop
_SLEEP: Final = "_set_result_unless_cancelled"  # what asyncio.sleep asks to be called


class Place(NamedTuple):
    """Whose timers, and below which handler."""

    timers: Timers
    owner: object


_place: ContextVar[Place | None] = ContextVar("asynq_py_timers", default=None)


class Timers:
    """`changed` is called when something begins to sleep."""

    def __init__(self, clock: VirtualClock, changed: Callable[[], object]) -> None:
        self._clock = clock
        self._changed = changed
        self._due: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()

    @contextmanager
    def in_place(self) -> Generator[None]:
        """Answer for the running loop."""
        loop: Any = asyncio.get_running_loop()
        before = {name: vars(loop)[name] for name in _ASKED if name in vars(loop)}
        time, call_at, call_later = loop.time, loop.call_at, loop.call_later

        def our_time() -> float:
            return self._clock.monotonic() if self.is_here else time()

        def our_call_at(
            when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
        ) -> asyncio.TimerHandle:
            if self.is_here:
                return self._add(loop, when, callback, args, context)
            handle: asyncio.TimerHandle = call_at(when, callback, *args, context=context)
            return handle

        def our_call_later(
            delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
        ) -> asyncio.TimerHandle:
            if self.is_here:
                return self._add(loop, self._clock.monotonic() + delay, callback, args, context)
            handle: asyncio.TimerHandle = call_later(delay, callback, *args, context=context)
            return handle

        loop.time, loop.call_at, loop.call_later = our_time, our_call_at, our_call_later
        try:
            yield
        finally:
            for name in _ASKED:
                delattr(loop, name)
            vars(loop).update(before)

    @property
    def is_here(self) -> bool:
        """Does the caller run below one of our handlers?"""
        place = _place.get()
        return place is not None and place.timers is self

    def enter(self, owner: object) -> Token[Place | None]:
        """From here on, the caller and what it starts run below a handler."""
        return _place.set(Place(self, owner))

    def leave(self, token: Token[Place | None]) -> None:
        _place.reset(token)

    @contextmanager
    def outside(self) -> Generator[None]:
        """Let the caller, and what it starts, go by the clock of the loop in the block."""
        token = _place.set(None)
        try:
            yield
        finally:
            _place.reset(token)

    def next_at(self) -> float:
        """When the next one is due; infinity if there is none."""
        while self._due and self._due[0][2].cancelled():
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else math.inf

    def sleepers(self) -> set[Any]:
        """The owners below which something sleeps."""
        return {timer.owner for _, _, timer in self._due if timer.is_sleep and not timer.cancelled()}

    def fire(self) -> None:
        """Let those go off that are due."""
        while self.next_at() <= self._clock.monotonic():
            heapq.heappop(self._due)[2].fire()

    def _add(
        self,
        loop: asyncio.AbstractEventLoop,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> Timer:
        place = _place.get()
        timer = Timer(loop, when, callback, args, context, None if place is None else place.owner)
        heapq.heappush(self._due, (when, next(self._numbers), timer))
        if timer.is_sleep:
            self._changed()
        return timer


class Timer(asyncio.TimerHandle):
    """One of them. A loop knows nothing of it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        owner: object,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.owner = owner
        self.is_sleep = getattr(callback, "__name__", "") == _SLEEP

    def cancel(self) -> None:
        asyncio.Handle.cancel(self)  # that of TimerHandle counts in the loop

    def fire(self) -> None:
        self._run()  # as a loop does
