"""asynq-py as it would be if one thing had been decided otherwise: `otherwise CHOICE REQUEST`.

Each choice is a patch from outside, made before anything runs. `benchmarks.choices` measures them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

CHOICE: Final = sys.argv.pop(1) if __name__ == "__main__" else ""
if CHOICE == "protobuf in Python":
    os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"  # read by its first import

from asynq_py.broker.watch import Watch  # noqa: E402
from asynq_py.component import running  # noqa: E402
from asynq_py.connection import node  # noqa: E402
from asynq_py.errors import BrokerError  # noqa: E402
from asynq_py.server import lookahead  # noqa: E402
from asynq_py.server.attempt import Attempt  # noqa: E402
from asynq_py.server.own_loop import Outside, OwnLoop  # noqa: E402
from benchmarks.adapter import Request  # noqa: E402
from benchmarks.answering import main  # noqa: E402
from benchmarks.systems.ours import Ours  # noqa: E402


class Otherwise(Ours):
    """`request.url` is where the harness looks; a socket file is asked of Redis itself."""

    def __init__(self, request: Request) -> None:
        super().__init__(
            replace(request, url=_socket_of(request.url)) if CHOICE == "socket file" else request
        )


def _socket_of(url: str) -> str:
    from redis import Redis

    with Redis.from_url(url) as client:
        return "unix://" + str(client.config_get("unixsocket")["unixsocket"])


def _use_uvloop() -> None:
    import uvloop  # pyright: ignore[reportMissingImports]

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def _use_resp3() -> None:
    cast("dict[str, Any]", node._OURS)["protocol"] = 3


def _keep_as_a_task_group_does() -> None:
    tasks: set[asyncio.Task[None]] = set()
    begin = Attempt.begin

    def begin_and_keep(self: Attempt) -> None:
        begin(self)
        if self.task is not None:
            tasks.add(self.task)
            self.task.add_done_callback(tasks.discard)

    Attempt.begin = begin_and_keep  # type: ignore[method-assign]


def _take_nothing_ahead() -> None:
    lookahead.LookAhead.target = property(lambda _: 0)  # type: ignore[method-assign, assignment]


def _poll() -> None:
    async def refuse(self: Watch) -> bool:
        raise BrokerError("it is polled here")

    Watch.has_work = refuse  # type: ignore[method-assign]


def _beat_in_the_same_loop() -> None:
    async def run(self: OwnLoop) -> None:
        outside = Outside(asyncio.get_running_loop(), 0)
        async with self._opened(outside) as components, running(*components):
            await asyncio.Event().wait()

    OwnLoop.run = run  # type: ignore[method-assign]


def _collect_seldom() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


CHOICES: Final[dict[str, Callable[[], Any]]] = {
    "uvloop": _use_uvloop,
    "RESP3": _use_resp3,
    "protobuf in Python": lambda: None,
    "socket file": lambda: None,
    "task group": _keep_as_a_task_group_does,
    "no look-ahead": _take_nothing_ahead,
    "polling": _poll,
    "heartbeat in the same loop": _beat_in_the_same_loop,
    "seldom garbage collection": _collect_seldom,
}

if __name__ == "__main__":
    CHOICES[CHOICE]()
    main(Otherwise)
