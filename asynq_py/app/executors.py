"""Processes: where functions run that need a processor of their own, and can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, Final

from asynq_py.app.typed_task import TypedTask
from asynq_py.errors import AsynqError, InvalidOptionError, SkipRetry

# A forked child would inherit the threads' locks and the sockets of the worker.
_CONTEXT: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Place:
    """Where another process finds a function."""

    module: str
    name: str

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Place:
        """Raises: InvalidOptionError: another process could not find it."""
        if "<" in function.__qualname__:
            raise InvalidOptionError(
                "executor",
                "process",
                f"with a function at the top level of a module, not {function.__qualname__}",
            )
        return cls(function.__module__, function.__qualname__)

    def find(self) -> Callable[..., Any]:
        found: Any = import_module(self.module)
        for part in self.name.split("."):
            found = getattr(found, part)
        function: Callable[..., Any] = found
        if isinstance(found, TypedTask) and found.declaration.function is not None:
            function = found.declaration.function
        return function


class Processes:
    """Runs one call at a time in each of at most `limit` processes, started when needed and reused."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit or os.cpu_count() or 1
        self._idle: list[Child] = []
        self._free: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(self, place: Place, args: list[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a function in a process. Cancelled meanwhile, it kills the process.

        Raises: what the function raises. AsynqError: the process died.
        """
        async with self._slots():
            while self._idle and not self._idle[-1].is_alive:
                self._idle.pop()
            child = self._idle.pop() if self._idle else Child()
            answer = asyncio.ensure_future(asyncio.to_thread(child.call, place, args, kwargs))
            try:
                is_error, value = await asyncio.shield(answer)
            except asyncio.CancelledError:
                child.kill()
                await _end_of(answer)
                raise
            if child.is_alive:
                self._idle.append(child)
            if is_error:
                raise value
            return value

    def _slots(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if self._free is None or self._loop is not loop:
            self._free, self._loop = asyncio.Semaphore(self._limit), loop
        return self._free


async def _end_of(answer: asyncio.Future[Any]) -> None:
    """The process is dead, so its thread ends at once; cancelations meanwhile are asked for already."""
    while not answer.done():
        try:
            await asyncio.wait([answer])
        except asyncio.CancelledError:
            continue
    answer.exception()


class Child:
    """One process. Ends by itself when this end of its pipe is closed, by us or by our death."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._is_killed = False

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive() and not self._is_killed

    def call(self, place: Place, args: list[Any], kwargs: Mapping[str, Any]) -> tuple[bool, Any]:
        """Blocks. Returns: is it an error? and the error or what was returned."""
        try:
            pipe = self._pipe or self._start()
            if self._is_killed:
                self.kill()
            try:
                asked = pickle.dumps((place, args, dict(kwargs)))
            except Exception as error:  # nothing is sent, and trying again would not mend it
                return True, SkipRetry(f"the arguments of {place.name} cannot be pickled: {error}")
            pipe.send_bytes(asked)
            is_error, data, trace = pipe.recv()
        except (EOFError, OSError):
            code = None
            if self._process is not None:
                self._process.join(5.0)
                code = self._process.exitcode
            self._is_killed = True
            return True, AsynqError(f"the process of {place.name} died with {code}")
        try:
            value = pickle.loads(data)
        except Exception as error:
            return True, SkipRetry(f"the result of {place.name} cannot be read here: {error}")
        if is_error:
            value.add_note(trace)
        return is_error, value

    def kill(self) -> None:
        """Idempotent, from any thread."""
        self._is_killed = True
        if self._process is not None:
            self._process.kill()

    def _start(self) -> Connection:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_serve, args=(theirs,), name="asynq-py", daemon=True)
        process.start()
        theirs.close()
        self._pipe, self._process = ours, process
        # at the end of this process it comes before the library's own, which would wait for the child
        Finalize(self, _let_end, args=(ours, process), exitpriority=10)
        return ours


def _let_end(pipe: Connection, process: BaseProcess) -> None:
    pipe.close()
    process.kill()
    process.join(1.0)


def _serve(pipe: Connection) -> None:
    """What the child does. Signals for the whole group are the worker's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            place, args, kwargs = pipe.recv()
        except EOFError:
            return
        try:
            value = place.find()(*args, **kwargs)
        except BaseException as error:
            answer = (True, _packed(error), _trace())
        else:
            answer = _packed_result(place, value)
        pipe.send(answer)


def _packed_result(place: Place, value: object) -> tuple[bool, bytes, str]:
    try:
        return False, pickle.dumps(value), ""
    except Exception as error:  # done, but of no use; again would be no better
        refusal = SkipRetry(f"the result does not fit: what {place.name} returns cannot be pickled: {error}")
        return True, pickle.dumps(refusal), ""


def _packed(error: BaseException) -> bytes:
    """Some errors cannot be made again from their arguments; then their text has to do.

    And what ends a process or a try by itself, as KeyboardInterrupt does, is an error there, and no more.
    """
    with contextlib.suppress(Exception):
        data = pickle.dumps(error)
        if isinstance(error, Exception) and isinstance(pickle.loads(data), Exception):
            return data
    return pickle.dumps(RuntimeError(": ".join(filter(None, (type(error).__name__, _text(error))))))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "its text cannot be told"


def _trace() -> str:
    try:
        return traceback.format_exc()
    except Exception:
        return "its traceback cannot be told"
