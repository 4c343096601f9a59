"""A second process for what must not share the measured one: filling the queue, handing in tasks.

It is forked before anything connects, so that it costs milliseconds and inherits no socket.
Standard library only.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from multiprocessing.connection import Connection

from benchmarks.adapter import AbsentError, Make, Request, System

FORK = multiprocessing.get_context("fork")


class Apart:
    """Runs `act` on a system of its own, at once."""

    def __init__(self, make: Make, request: Request, act: Callable[[System], Awaitable[None]]) -> None:
        self._ours, theirs = FORK.Pipe()
        self._process = FORK.Process(target=_run, args=(make, request, act, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._told = False

    @property
    def has_ended(self) -> bool:
        return not self._process.is_alive()

    def wait(self) -> None:
        """Wait until it has ended.

        Raises: AbsentError: as in the process. RuntimeError: it failed otherwise.
        """
        if self._told:
            return
        try:
            kind, text = self._ours.recv()
        except EOFError:
            kind, text = "failed", "it ended without a word"
        self._told = True
        self._process.join(5)
        if kind == "absent":
            raise AbsentError(text)
        if kind == "failed":
            raise RuntimeError(f"the second process: {text}")


class Foreign:
    """A program that hands in the tasks of a latency figure, and reads a byte for each that has started."""

    def __init__(self, request: Request) -> None:
        self._process = subprocess.Popen(
            [request.producer, json.dumps(asdict(request)), request.figure], stdin=subprocess.PIPE
        )

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> None:
        if self._process.wait():
            raise RuntimeError(f"the producer ended with {self._process.returncode}")

    def ack(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(b".")
            self._process.stdin.flush()


def _run(make: Make, request: Request, act: Callable[[System], Awaitable[None]], answer: Connection) -> None:
    try:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(_with_system(make, request, act))
    except AbsentError as error:
        answer.send(("absent", str(error)))
    except BaseException:
        answer.send(("failed", traceback.format_exc()[-1_000:]))
    else:
        answer.send(("done", ""))
    os._exit(0)  # whatever threads the system has left


async def _with_system(make: Make, request: Request, act: Callable[[System], Awaitable[None]]) -> None:
    system = make(request)
    await system.connect()
    await act(system)
    await system.aclose()
