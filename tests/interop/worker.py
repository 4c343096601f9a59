"""A worker of either language as tests see it: what its handlers tell, and what it can be told."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

PATIENCE = 25.0  # seconds; only a failing test waits that long


@dataclass(frozen=True, slots=True)
class Event:
    """`name`: ready, start, end, stopped or ended. `cause`: why the try was cancelled."""

    name: str
    id: str = ""
    queue: str = ""
    type: str = ""
    payload: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    retried: int = 0
    max_retry: int = 0
    deadline: int = 0
    error: str | None = None
    cause: str | None = None

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Event:
        fields = dict(line)
        fields["name"] = fields.pop("event")
        fields["payload"] = base64.b64decode(fields.get("payload") or "")
        fields["headers"] = fields.get("headers") or {}
        return cls(**fields)


class Events:
    """What has happened in a worker so far."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self._news = asyncio.Condition()

    async def add(self, event: Event) -> None:
        self.all.append(event)
        async with self._news:
            self._news.notify_all()

    def named(self, name: str, task_id: str | None = None) -> list[Event]:
        return [event for event in self.all if event.name == name and task_id in (None, event.id)]

    async def wait(self, name: str, task_id: str | None = None, *, times: int = 1) -> Event:
        """Wait until that has happened so often. Returns the last one."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: len(self.named(name, task_id)) >= times)
        except TimeoutError:
            raise AssertionError(
                f"no {name!r} of {task_id or 'any task'}, {times} times, in {self.all}"
            ) from None
        return self.named(name, task_id)[times - 1]


class Worker(Protocol):
    events: Events

    async def release(self) -> None:
        """Let all tasks end that wait."""

    async def stop(self) -> None:
        """Fetch no more."""

    async def end(self) -> None:
        """Shut down in order. Idempotent."""


class Process:
    """A worker in a process of its own: commands on its stdin, events on its stdout."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.events = Events()
        self.pid = process.pid
        self._process = process
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            await self.events.add(Event.of(json.loads(line)))

    async def release(self) -> None:
        await self._tell("release")

    async def stop(self) -> None:
        await self._tell("stop")
        await self.events.wait("stopped")

    async def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        await self._process.stdin.drain()

    async def end(self) -> None:
        if self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._gone()

    async def kill(self) -> None:
        """End it without a word to anybody."""
        self._process.kill()
        await self._gone()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    async def _gone(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._process.wait()
            await self._reader


@asynccontextmanager
async def process(command: Sequence[str]) -> AsyncIterator[Process]:
    """Start a worker and wait until it works; at the end it shuts down in order, or is killed."""
    worker = Process(
        await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
    )
    try:
        await worker.events.wait("ready")
        yield worker
        await worker.end()
    finally:
        if worker._process.returncode is None:
            await worker.kill()
