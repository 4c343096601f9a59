"""A mixed load, watched while it runs, and the books at the end. Everything shown is asked of Redis."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from rich.console import Console
from rich.text import Text

from asynq_py import Client, Inspector, Server, TaskState
from asynq_py.cli.demo.books import Entry, balances, books, hand_in, is_over, look_up, verdict
from asynq_py.cli.demo.load import QUEUES, make_load, mux
from asynq_py.cli.demo.view import WORKERS, Screen, changes

PATIENCE: Final = 18.0  # seconds after which the demo gives up


async def watch(inspector: Inspector, entries: Sequence[Entry], screen: Screen, started: float) -> None:
    """Look at all tasks several times a second, until all have ended. Cancels the video on the way."""
    before: dict[str, TaskState] = {}
    has_cancelled = False
    while True:
        await look_up(inspector, entries)
        seconds = time.monotonic() - started
        screen.tell(*changes(entries, before))
        screen.show(entries, seconds)
        if is_over(entries) or seconds > PATIENCE:
            return
        video = next(entry for entry in entries if entry.type == "video:encode")
        if seconds > 3 and not has_cancelled and before.get(video.id) is TaskState.ACTIVE:
            has_cancelled = True
            await inspector.cancel_processing(video.id)
            screen.tell(Text("video:encode takes too long: asked to cancel it", style="yellow"))
        await asyncio.sleep(0.1)


async def main(console: Console, redis: str) -> bool:
    """Run the demo to its end. Returns whether every task is accounted for."""
    logging.getLogger("asynq_py").addHandler(logging.NullHandler())  # its warnings would tear the picture
    server = Server(
        redis,
        mux,
        concurrency=WORKERS,
        queues=QUEUES,
        retry_delay=lambda failures, error, task: 1.0,
        shutdown_timeout=1.0,
    )
    started = time.monotonic()
    async with Client(redis) as client, Inspector(redis) as inspector:
        entries = await hand_in(client, make_load(str(uuid4())))
        with Screen(console) as screen:
            for entry in entries:
                if entry.is_refused:
                    screen.tell(
                        Text(f"{entry.type} refused: the same task is queued already", style="yellow")
                    )
            async with server:
                await watch(inspector, entries, screen, started)
        await look_up(inspector, entries)  # once more, now that no worker runs
    console.print(books(entries, time.monotonic() - started))
    console.print(verdict(entries))
    return balances(entries)
