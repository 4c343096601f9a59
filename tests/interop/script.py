"""Tasks whose payload says what their handler does, the same in Python and in Go (go/serve.go)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypedDict, Unpack

from asynq_py import ActiveTask, RevokeTask, Server, SkipRetry, Task
from tests.interop.worker import Event, Events


class Config(TypedDict, total=False):
    """What the servers of both languages can be told. Spans in seconds."""

    concurrency: int
    queues: dict[str, int]
    strict_priority: bool
    retry_delay: float
    forward_interval: float
    shutdown_timeout: float
    group_max_size: int
    """Aggregate groups, this many tasks at most."""
    lease: float
    """Python only."""


DEFAULTS: Config = {
    "concurrency": 10,
    "queues": {"default": 1},
    "strict_priority": False,
    "retry_delay": 0.0,
    "forward_interval": 0.1,
    "shutdown_timeout": 5.0,
}


def does(do: str, *, text: str = "", fail: int = 0) -> bytes:
    """The payload of a task.

    `do`: succeed, fail, skip, revoke, result, wait (until released), linger (the same, deaf to cancelation).
    `text`: of the error or the result. `fail`: so many tries fail first.
    """
    return json.dumps({"do": do, "text": text, "fail": fail}).encode()


class Handler:
    """Runs scripts and tells what happens."""

    def __init__(self, emit: Callable[[Event], Awaitable[object]]) -> None:
        self._emit = emit
        self.released = asyncio.Event()

    async def handle(self, task: ActiveTask) -> None:
        await self._emit(
            Event(
                "start",
                task.id,
                queue=task.queue,
                type=task.type,
                payload=task.payload,
                headers=dict(task.headers),
                retried=task.retried,
                max_retry=task.max_retry,
                deadline=int(task.deadline.timestamp()),
            )
        )
        error: BaseException | None = None
        try:
            await self._play(task)
        except BaseException as caught:
            error = caught
            raise
        finally:
            text = None if error is None else str(error) or type(error).__name__
            await self._emit(Event("end", task.id, error=text, cause=task.cancel_reason))

    async def _play(self, task: ActiveTask) -> None:
        try:
            script: Any = json.loads(task.payload)
        except ValueError:
            return
        if not isinstance(script, dict):
            return
        text = script.get("text", "")
        if task.retried < script.get("fail", 0):
            raise RuntimeError(f"try {task.retried + 1}: {text}")
        match script["do"]:
            case "fail":
                raise RuntimeError(text)
            case "skip":
                raise SkipRetry(text)
            case "revoke":
                raise RevokeTask(text)
            case "result":
                await task.write_result(text.encode())
            case "wait":
                await self.released.wait()
            case "linger":
                while not self.released.is_set():
                    try:
                        await self.released.wait()
                    except asyncio.CancelledError:
                        continue


def aggregate(group: str, tasks: list[Task]) -> Task:
    """Make one task of a group: its payload is the JSON list of their payloads."""
    return Task(f"aggregated:{group}", [(task.payload or b"").decode() for task in tasks])


def server(url: str, handler: Handler, config: Config) -> Server:
    """A server that looks often, since tests wait for it."""
    given: dict[str, Any] = {**DEFAULTS, **config}
    delay = given["retry_delay"]
    groups: dict[str, Any] = {}
    if "group_max_size" in given:
        groups = {"group_aggregator": aggregate, "group_max_size": given["group_max_size"]}
    return Server(
        url,
        handler.handle,
        concurrency=given["concurrency"],
        queues=given["queues"],
        strict_priority=given["strict_priority"],
        retry_delay=lambda n, error, task: delay,
        forward_interval=given["forward_interval"],
        shutdown_timeout=given["shutdown_timeout"],
        lease=given.get("lease", 30.0),
        recover_interval=0.1,
        janitor_interval=0.2,
        poll_interval=0.1,
        cancel_grace=0.5,
        **groups,
    )


class InProcess:
    """A Python worker on the event loop of the test."""

    def __init__(self, url: str, config: Config) -> None:
        self.events = Events()
        self._handler = Handler(self.events.add)
        self.server = server(url, self._handler, config)

    async def release(self) -> None:
        self._handler.released.set()

    async def stop(self) -> None:
        self.server.stop()

    async def end(self) -> None:
        await self.server.shutdown()


@asynccontextmanager
async def in_process(url: str, **config: Unpack[Config]) -> AsyncIterator[InProcess]:
    worker = InProcess(url, config)
    async with worker.server:
        yield worker
