"""Worker processes, and the ledger that they write."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]

Option = bool | int | float | str | dict[str, int]


class Workers:
    """Starts workers that share one ledger, and kills those that are left at the end."""

    def __init__(self, url: str, ledger: Path) -> None:
        self.url = url
        self._ledger = ledger
        self._stack = AsyncExitStack()

    async def start(self, **options: Option) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "tests.end_to_end.worker"),
            *(self.url, str(self._ledger), json.dumps(options)),
            cwd=ROOT,
        )
        self._stack.push_async_callback(end, process)
        return process

    async def noted(self, event: str) -> Counter[str]:
        """How often each task had that event: started, ended or cancelled."""
        lines = self._ledger.read_text().splitlines() if self._ledger.exists() else []
        return Counter(line.removeprefix(f"{event} ") for line in lines if line.startswith(f"{event} "))

    async def aclose(self) -> None:
        await self._stack.aclose()


async def end(process: Process) -> None:
    """Kill it on the spot, unless it has ended."""
    if process.returncode is None:
        process.kill()
        await process.wait()


@asynccontextmanager
async def workers_of(url: str, folder: Path) -> AsyncGenerator[Workers]:
    workers = Workers(url, folder / "ledger")
    try:
        yield workers
    finally:
        await workers.aclose()
