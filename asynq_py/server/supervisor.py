"""Supervisor: several worker processes on one machine, started, kept alive and ended together."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Final

import anyio

from asynq_py.errors import InvalidOptionError
from asynq_py.server.server import Server
from asynq_py.server.will import Bequest, Will, WillReader
from asynq_py.signals import signals

logger = logging.getLogger(__name__)

SHORT_LIFE: Final = 5.0  # seconds; a process that lives no longer, or never came to work, has failed to start
LAST_WORD: Final = 5.0  # seconds for what a dead process has said, and we have not read
FAILURES: Final = 5  # of these in a row, and we give up
SHORTEST_PAUSE: Final = 0.2  # seconds before a process is replaced; doubled with each failure
MAKER: Final = "a function that returns a Server, named in a module so that other processes can import it"
_ASKED: Final = (0, -signal.SIGTERM, -signal.SIGINT)  # how a process may end that was told to


class Supervisor:
    """Runs a server in each of several processes, which share nothing but Redis.

    `make_server`: a function of a module, called in each process; the server that it returns is served there.
    `processes`: how many; None: one for each processor.

    TERM, INT and TSTP are passed on, so each server ends as by itself. A process that dies is replaced, after
    a pause that grows while they keep failing, and the new one hands back what the dead one ran. If this
    process dies, however it dies, the others see that and end as after a TERM.
    """

    def __init__(self, make_server: Callable[[], Server], *, processes: int | None = None) -> None:
        self._count = _checked_count(processes)
        if not callable(make_server):
            raise InvalidOptionError("make_server", make_server, MAKER)
        try:
            ForkingPickler.dumps(make_server)
        except Exception as error:  # pickle has an error for each case
            raise InvalidOptionError("make_server", make_server, MAKER) from error
        self._make_server = make_server
        self._running: dict[int, SpawnProcess] = {}
        self._failures = 0
        self._code = 0
        self._is_ending = False
        self._hurry = anyio.Event()

    async def serve(self) -> int:
        """Work until TERM or INT, or until no process can be kept alive.

        Returns: the exit code for this process: 0, or that of a process which failed.
        """
        self._hurry = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._obey_signals)
            try:
                async with anyio.create_task_group() as slots:
                    for slot in range(self._count):
                        slots.start_soon(self._keep, slot)
            finally:
                self._end(signal.SIGTERM)
            group.cancel_scope.cancel()
        return self._code

    async def _keep(self, slot: int) -> None:
        """Have a process in this slot for as long as we work."""
        pause = SHORTEST_PAUSE
        heritage: Sequence[Bequest] = ()
        while not self._is_ending:
            process, will = self._start(slot, heritage)
            born = time.monotonic()
            async with anyio.create_task_group() as reading:
                reading.start_soon(will.run)
                await _end_of(process)
                with anyio.move_on_after(LAST_WORD):
                    await will.ended.wait()
                reading.cancel_scope.cancel()
            del self._running[slot]
            if will.latest is not None:  # else it did not come to hand back what it inherited
                heritage = will.latest
            code = process.exitcode or 0
            if self._is_ending:
                self._note(code)
                return
            has_failed = will.latest is None or time.monotonic() - born < SHORT_LIFE
            pause = min(pause * 2, 10.0) if has_failed else SHORTEST_PAUSE
            # one that died over its tasks did live, and these are put aside after three deaths
            self._failures = self._failures + 1 if has_failed and not will.latest else 0
            if self._failures >= FAILURES:
                logger.error("worker processes do not live: %d have failed in a row", self._failures)
                self._code = _exit_code(code) or 1
                self._end(signal.SIGTERM)
                return
            logger.error("worker process %s ended with code %d, and is replaced", process.pid, code)
            with anyio.move_on_after(pause):
                await self._hurry.wait()

    def _start(self, slot: int, heritage: Sequence[Bequest]) -> tuple[SpawnProcess, WillReader]:
        # spawned, not forked: a forked process would share our sockets, threads and event loop
        context = multiprocessing.get_context("spawn")
        ours, theirs = socket.socketpair()
        with theirs:
            process = context.Process(
                target=_work,
                args=(self._make_server, Will(theirs, heritage)),
                name=f"asynq-py-worker-{slot}",
            )
            process.start()
        self._running[slot] = process
        logger.info("started worker process %s", process.pid)
        return process, WillReader(ours)

    def _note(self, code: int) -> None:
        if code not in _ASKED and not self._code:
            self._code = _exit_code(code)

    def _end(self, number: signal.Signals) -> None:
        self._is_ending = True
        self._hurry.set()
        self._pass_on(number)

    def _pass_on(self, number: signal.Signals) -> None:
        for process in self._running.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)

    async def _obey_signals(self) -> None:
        async for number in signals():
            logger.info("got %s", number.name)
            if number in (signal.SIGTERM, signal.SIGINT):
                self._end(number)
            else:
                self._pass_on(number)


def _checked_count(processes: object) -> int:
    if processes is None:
        return os.cpu_count() or 1
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise InvalidOptionError("processes", processes, "a whole number, one or more")
    return processes


async def _end_of(process: SpawnProcess) -> None:
    """Wait for the process to end; when cancelled, make it end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)
        if not ended.is_set():
            process.terminate()
        process.join()


def _exit_code(code: int) -> int:
    """What a shell makes of it: 128 and the number of the signal, where it was one."""
    return code if code >= 0 else 128 - code


# -- in the worker process -------------------------------------------------------------------------------


def _work(make_server: Callable[[], Server], will: Will) -> None:
    os.setpgid(0, 0)  # a Ctrl-C in the terminal is for the supervisor, which passes it on
    with will.channel as channel:
        channel.set_inheritable(False)
        server: object = make_server()
        if not isinstance(server, Server):
            raise InvalidOptionError("make_server", make_server, f"{MAKER}; this one returned {type(server)}")
        server.keep(will)
        asyncio.run(_serve(server))


async def _serve(server: Server) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_end_with_parent, server)
        await server.serve()
        group.cancel_scope.cancel()


async def _end_with_parent(server: Server) -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    orphaned = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(parent.sentinel, orphaned.set)
    try:
        await orphaned.wait()
        logger.error("the supervisor is gone; shutting down")
        await server.shutdown()
    finally:
        loop.remove_reader(parent.sentinel)
