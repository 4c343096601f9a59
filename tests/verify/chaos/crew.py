"""The processes of the load: each has a place, and is started again there until it is told to stay away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.verify.chaos.ledger import Ledger

ROOT: Final = Path(__file__).parents[3]
AGAIN: Final = 0.1  # seconds before a place is filled again
PATIENCE: Final = 150.0  # seconds in which a process that was told to end must have ended


def kill(process: Process, number: signal.Signals) -> None:
    """Not by its own method, which looks whether it has ended, and may take its code away from asyncio."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


class Post:
    """One place. `name`: as in "worker-0"; its processes are "worker-0.1", "worker-0.2" and so on.

    `program`: what runs there; "" for the module of this kind of place. `count`: how many there were.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, ledger: Ledger, *, program: str = ""
    ) -> None:
        self.name = name
        module = f"tests.verify.chaos.{self.kind}"
        self._program = [program] if program else [sys.executable, "-W", "error", "-m", module]
        self._url, *self._more = arguments
        self._folder = folder
        self._ledger = ledger
        self.count = 0
        self._process: Process | None = None
        self._is_wanted = True
        self._keeping: asyncio.Task[None] | None = None

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]

    @property
    def who(self) -> str:
        return f"{self.name}.{self.count}"

    def keep(self) -> None:
        """Fill the place from now on."""
        self._keeping = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        while self._is_wanted:
            self.count += 1
            with (self._folder / "logs" / self.who).open("wb") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._program,
                    *(self._url, str(self._folder / "ledger"), self.who, *self._more),
                    cwd=ROOT,
                    stderr=log,
                )
            code = await self._process.wait()
            self._ledger.note("exited", self.who, str(code))
            await asyncio.sleep(AGAIN)

    @property
    def is_there(self) -> bool:
        """Has the one who is there begun its work?"""
        is_alive = self._process is not None and self._process.returncode is None
        return is_alive and (self._folder / "ledger" / self.who).exists()

    def signal(self, number: signal.Signals) -> str:
        """Send it to whoever is there. Returns who that is."""
        if self._process is not None and self._process.returncode is None:
            kill(self._process, number)
        return self.who

    async def freeze(self, seconds: float) -> str:
        """Stop whoever is there, for so long."""
        process = self._process
        who = self.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        if process is not None and process.returncode is None:
            kill(process, signal.SIGCONT)
        return who

    async def dismiss(self) -> bool:
        """Tell it to end, and leave the place empty. Returns False if it had to be killed."""
        self._is_wanted = False
        if self._keeping is None:
            return True
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._keeping.done():
                    self.signal(signal.SIGTERM)
                    await asyncio.wait([self._keeping], timeout=PATIENCE / 2)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._keeping
            return False
        return True
