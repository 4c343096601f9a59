"""Go's own command line, `asynq`, run as a process; its tables are read as people read them."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class GoCommandLine:
    """`url`: of the Redis that it looks at."""

    program: Path
    url: str

    async def __call__(self, *arguments: str) -> str:
        """Run it to its end. Returns what it printed."""
        running = await asyncio.create_subprocess_exec(
            str(self.program), *arguments, *self._where(),
            # each variable that is named like an option counts as one, so it gets none but these
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TZ": "UTC"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(40):
            out, _ = await running.communicate()
        assert running.returncode == 0, out.decode()
        return out.decode()

    async def table(self, *arguments: str) -> list[dict[str, str]]:
        return rows(await self(*arguments))

    def _where(self) -> list[str]:
        parts = urlsplit(self.url)
        if parts.scheme == "redis-cluster":
            return ["--cluster", f"--cluster_addrs={parts.netloc}"]
        return ["--uri", parts.netloc, "--db", parts.path.strip("/") or "0"]


def rows(text: str) -> list[dict[str, str]]:
    """Read the first table of a text: a line of names, one of dashes under each, and the rows."""
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if re.fullmatch(r"(-+ +)+-*", line))
    starts = [match.start() for match in re.finditer(r"-+", lines[at])]
    ends = [*starts[1:], None]

    def cells(line: str) -> list[str]:
        return [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]

    names, found = cells(lines[at - 1]), list[dict[str, str]]()
    for line in lines[at + 1 :]:
        if not line.strip():
            break
        found.append(dict(zip(names, cells(line), strict=True)))
    return found
