"""A worker process: `python -m tests.end_to_end.worker URL LEDGER OPTIONS`.

OPTIONS: JSON of the server's options; and `embedded`: run it by `async with`, for ever; `aggregate`: what the
server does with groups: "work", make a task that does; "die". LEDGER: a file that
gets a line for each event, so that neither a killed worker nor a killed Redis can take it back. A task's type
says what it does, its payload is its argument.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from asynq_py import ActiveTask, ServeMux, Server, Task
from tests.eventually import eventually


def build(ledger: int) -> ServeMux:
    mux = ServeMux()

    def note(event: str, task: ActiveTask) -> None:
        os.write(ledger, f"{event} {task.id}\n".encode())

    @mux.handler("work")
    async def work(task: ActiveTask) -> None:
        note("started", task)
        await asyncio.sleep(float(task.payload))
        note("ended", task)

    @mux.handler("wait for file")
    async def wait_for_file(task: ActiveTask) -> None:
        note("started", task)
        await eventually(lambda: _exists(task.payload), within=60)
        note("ended", task)

    @mux.handler("wait")
    async def wait(task: ActiveTask) -> None:
        note("started", task)
        try:
            await asyncio.Event().wait()
        finally:
            note("cancelled", task)

    @mux.handler("block")
    async def block(task: ActiveTask) -> None:
        """Hold the event loop until there is a file named like the payload and the count of lost workers."""
        note("started", task)
        while not os.path.exists(task.payload + b".%d" % task.crashes):
            time.sleep(0.02)  # noqa: ASYNC251 - this is what it is for
        note("ended", task)

    @mux.handler("hold the interpreter")
    async def hold_the_interpreter(task: ActiveTask) -> None:
        """Let no thread run, the first time, while another process has a lock on the file of that name."""
        note("started", task)
        if not task.crashes:
            with open(task.payload) as lock:  # noqa: ASYNC230 - nothing here may wait in peace
                ctypes.PyDLL(None).flock(lock.fileno(), fcntl.LOCK_EX)
        note("ended", task)

    @mux.handler("defy")
    async def defy(task: ActiveTask) -> None:
        note("started", task)
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                note("cancelled", task)

    @mux.handler("die")
    async def die(task: ActiveTask) -> None:
        note("started", task)
        await asyncio.sleep(float(task.payload or 0))
        os._exit(9)

    return mux


async def aggregate(aim: str, group: str, tasks: list[Task]) -> Task:
    if aim == "die":
        os._exit(9)
    return Task(aim, "0", task_id=",".join(sorted((task.payload or b"").decode() for task in tasks)))


async def _exists(path: bytes) -> bool:
    return os.path.exists(path)


async def main(url: str, ledger: Path, options: dict[str, Any]) -> None:
    embedded = options.pop("embedded", False)
    if aim := options.pop("aggregate", None):
        options["group_aggregator"] = partial(aggregate, aim)
    server = Server(url, build(os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)), **options)
    if embedded:
        async with server:
            await asyncio.Event().wait()
    await server.serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))
