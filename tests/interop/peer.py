"""A published version of asynq (Go), called through the program in go/."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tests.interop.script import DEFAULTS, Config
from tests.interop.worker import Process, process

STATES = ("", "active", "pending", "scheduled", "retry", "archived", "completed", "aggregating")


class GoOptions(TypedDict, total=False):
    """Spans in seconds, instants in Unix seconds."""

    headers: Mapping[str, str]
    queue: str
    task_id: str
    max_retry: int
    timeout: float
    deadline: int
    unique: float
    process_at: int
    process_in: float
    retention: float
    group: str


class GoEntry(TypedDict, total=False):
    """Of a Go scheduler. `payload`: Base64."""

    spec: str
    type: str
    payload: str
    queue: str
    max_retry: int
    timeout: float
    unique: float


class GoError(Exception):
    """What Go answered instead. `kind`: duplicate, conflict or other."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class GoPeer:
    """`url`: of the Redis that it works on."""

    version: str
    program: Path
    url: str

    async def enqueue(self, kind: str, payload: bytes | None, **options: Unpack[GoOptions]) -> dict[str, Any]:
        """Returns Go's TaskInfo. Raises: GoError."""
        (answer,) = await self.enqueue_many([(kind, payload, options)])
        return answer

    async def enqueue_many(self, tasks: list[tuple[str, bytes | None, GoOptions]]) -> list[dict[str, Any]]:
        """All from one Go client. Raises: GoError, the first one."""
        lines = (
            json.dumps(
                {
                    "type": kind,
                    "payload": None if payload is None else base64.b64encode(payload).decode(),
                    **options,
                }
            )
            for kind, payload, options in tasks
        )
        answers = [json.loads(line) async for line in self._run("\n".join(lines), "enqueue", self.url)]
        for answer in answers:
            if "error" in answer:
                raise GoError(answer["error"], answer["kind"])
        return [answer["info"] for answer in answers]

    async def inspect(self, method: str, *arguments: Any) -> Any:
        """Call a method of Go's Inspector. Raises: GoError."""
        lines = self._run("", "inspect", self.url, method, json.dumps(arguments))
        (answer,) = [json.loads(line) async for line in lines]
        if answer["error"] is not None:
            raise GoError(answer["error"], "other")
        return answer["result"]

    async def decode(self, message: str, data: bytes) -> dict[str, Any]:
        """Let Go's generated code read a message. Returns its fields as protobuf's JSON."""
        (line,) = [line async for line in self._run(data.hex(), "decode", message)]
        fields: dict[str, Any] = json.loads(line)
        return fields

    async def encode(self, message: str, fields: Mapping[str, Any]) -> bytes:
        """Let Go's generated code write a message."""
        (line,) = [line async for line in self._run(json.dumps(fields), "encode", message)]
        return bytes.fromhex(json.loads(line)["hex"])

    async def asynq_version(self) -> str:
        """What the program itself says that it was built with."""
        (line,) = [line async for line in self._run("", "version")]
        version: str = json.loads(line)["asynq"]
        return version

    async def times(self, specs: list[tuple[str, str, int]], *, count: int) -> list[list[int] | None]:
        """What Go's cron library makes of specs, zones and a time each: the next times; None: no spec."""
        lines = (
            json.dumps({"spec": spec, "zone": zone, "at": at, "count": count}) for spec, zone, at in specs
        )
        answers = [json.loads(line) async for line in self._run("\n".join(lines), "times")]
        return [answer.get("times") for answer in answers]

    def schedule(self, *entries: GoEntry) -> AbstractAsyncContextManager[Process]:
        """Run a Go scheduler in a process of its own."""
        return process([str(self.program), "schedule", self.url, json.dumps(entries)])

    def serve(self, **config: Unpack[Config]) -> AbstractAsyncContextManager[Process]:
        """Run a Go server in a process of its own."""
        return process([str(self.program), "serve", self.url, json.dumps({**DEFAULTS, **config})])

    async def _run(self, given: str, *arguments: str) -> AsyncIterator[str]:
        running = await asyncio.create_subprocess_exec(
            str(self.program),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, complaint = await running.communicate(given.encode())
        if running.returncode != 0:
            raise GoError(complaint.decode(), "other")
        for line in out.decode().splitlines():
            yield line
