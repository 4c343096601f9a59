"""`--reload`: begin again, in an orderly way, whenever a Python file changes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess

import click

from asynq_py.cli.failure import ConfigError


def serve_and_reload(serve: Callable[[], int], folders: Sequence[str]) -> int:
    """Serve in a process of its own, which a change of a file below `folders` ends, as by TERM, and replaces.

    One that fails, perhaps as a file is just being written, is replaced after the next change. TERM, INT and
    TSTP are passed on. Returns the exit code.

    Raises: ConfigError: watchfiles is not installed.
    """
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise ConfigError("--reload needs watchfiles: pip install 'asynq-py[cli]'") from error
    return asyncio.run(_Reloader(serve, folders).run())


class _Reloader:
    def __init__(self, serve: Callable[[], int], folders: Sequence[str]) -> None:
        self._serve = serve
        self._folders = folders
        self._process: SpawnProcess | None = None
        self._is_ending = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> int:
        from watchfiles import PythonFilter, awatch

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGTSTP, self._pass_on, signal.SIGTSTP)
        self._start()
        changes = awatch(*self._folders, watch_filter=PythonFilter(), stop_event=self._is_ending)
        async for changed in changes:
            _say(f"{_short(min(path for _, path in changed))} has changed")
            self._pass_on(signal.SIGTERM)
            await self._ended.wait()
            if self._is_ending.is_set():
                break
            self._start()
        await self._ended.wait()
        assert self._process is not None
        code = self._process.exitcode or 0
        return code if code >= 0 else 128 - code

    def _start(self) -> None:
        # spawned, not forked: it must import the changed files anew
        context = multiprocessing.get_context("spawn")
        self._ended.clear()
        self._process = context.Process(target=_work, args=(self._serve,), name="asynq-py-worker")
        self._process.start()
        asyncio.get_running_loop().add_reader(self._process.sentinel, self._note_end)

    def _note_end(self) -> None:
        assert self._process is not None
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        if not self._is_ending.is_set() and self._process.exitcode not in (0, -signal.SIGTERM):
            _say("the worker has ended; the next change of a file starts another one")
        self._ended.set()

    def _end(self, number: signal.Signals) -> None:
        self._is_ending.set()
        self._pass_on(number)

    def _pass_on(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.is_alive() and self._process.pid is not None:
            os.kill(self._process.pid, number)


def _short(path: str) -> str:
    """As seen from the folder where we are."""
    return os.path.relpath(path)


def _say(text: str) -> None:
    click.echo(f"asynq-py: {text}", err=True)


# -- in the process that serves --------------------------------------------------------------------------


def _work(serve: Callable[[], int]) -> None:
    os.setpgid(0, 0)  # a Ctrl-C in the terminal is for the reloader, which passes it on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        code = serve()
    except click.ClickException as error:
        _say(error.format_message())
        code = error.exit_code
    sys.exit(code)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
