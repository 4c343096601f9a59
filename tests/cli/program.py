"""Runs the installed program `asynq-py`, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = Path(sys.executable).with_name("asynq-py")
PATIENCE: Final = 40.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True, slots=True)
class Program:
    """`folder`: where it runs. `env`: what it finds in its environment beside what a shell has."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        ours = ("ASYNQ_", "_ASYNQ_", "NO_COLOR", "COLUMNS", "FORCE_COLOR", "COVERAGE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**kept, "PYTHONIOENCODING": "utf-8", **self.env, **more}

    async def __call__(
        self, *arguments: str | Path, code: int | None = 0, given: str | bytes = b"", **env: str
    ) -> Answer:
        """Run it to its end; it must end with that exit code, unless that is None."""
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), *map(str, arguments), cwd=self.folder, env=self.environment(env),
            stdin=PIPE, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(given.encode() if isinstance(given, str) else given)
        answer = Answer(process.returncode or 0, out.decode(), err.decode())
        assert code is None or answer.code == code, answer
        return answer

    async def fails(self, *arguments: str | Path, code: int, **more: Any) -> str:
        """Run what must fail with one readable line and nothing else. Returns that line."""
        answer = await self(*arguments, code=code, **more)
        assert answer.out == "", answer
        (line,) = answer.err.splitlines()
        return line

    @asynccontextmanager
    async def running(self, *arguments: str, **env: str) -> AsyncGenerator[Process]:
        """Run what goes on for long; it is killed at the end, if it has not ended by itself."""
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), *arguments, cwd=self.folder, env=self.environment(env),
            stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=2**20,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def on_terminal(self, *arguments: str, typed: str = "", **env: str) -> Answer:
        """Run it where input and both outputs are one terminal of 200 columns."""
        ours, its = pty.openpty()
        try:
            process = await asyncio.create_subprocess_exec(
                str(PROGRAM), *arguments, cwd=self.folder, stdin=its, stdout=its, stderr=its,
                env=self.environment({"TERM": "xterm-256color", "COLUMNS": "200", **env}),
            )  # fmt: skip
            os.close(its)
            os.write(ours, typed.encode())
            async with asyncio.timeout(PATIENCE):
                shown = await asyncio.to_thread(_drain, ours)
                code = await process.wait()
        finally:
            os.close(ours)
        return Answer(code, shown.decode("utf-8", "replace"), "")


def _drain(terminal: int) -> bytes:
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the last one who had it open has ended
            return shown
        if not part:
            return shown
        shown += part
