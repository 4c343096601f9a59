"""A worker that runs steps of flows: `python -m tests.end_to_end.flow_worker URL LEDGER POINT`.

POINT: where it dies, the first time it comes there: at one of POINTS, or never (""). LEDGER: a file that gets
a line for each run of a step.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from asynq_py import App, chain, current_task, each, gather
from asynq_py.broker.flows import Flows
from asynq_py.client import Client

# A method, and whether it dies before or after it.
POINTS: Final = {
    "before the end of a step is recorded": (Flows, "done", False),
    "after it is recorded": (Flows, "done", True),
    "when it knows what is ready": (Flows, "ready", True),
    "after it has made steps of items": (Flows, "expand", True),
    "after that is enqueued": (Client, "enqueue_many", True),
    "after that is noted": (Flows, "sent", True),
}


def die_at(point: str) -> None:
    kind, name, is_after = POINTS[point]
    method: Callable[..., Awaitable[Any]] = getattr(kind, name)

    async def dying(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_after:
            os._exit(9)
        answer = await method(self, *args, **kwargs)
        if answer:
            os._exit(9)
        return answer

    setattr(kind, name, dying)


def make(url: str | None, ledger: Path | None) -> tuple[App, Any]:
    """The app, and its flow: eight steps, and four of items."""
    app = App(url, max_retry=3)

    def note() -> None:
        if ledger is not None:
            with ledger.open("a") as file:
                file.write(f"{current_task().id.rpartition(':')[2]}\n")

    @app.task
    async def split(count: int) -> list[int]:
        note()
        return list(range(count))

    @app.task
    async def pick(numbers: list[int], place: int) -> int:
        note()
        return numbers[place]

    @app.task
    async def same(number: int) -> int:
        note()
        return number

    @app.task
    async def join(numbers: list[int]) -> int:
        note()
        return sum(numbers)

    @app.task
    async def tell(total: int) -> str:
        note()
        return f"total {total}"

    picks = gather(*(pick.step(place=place) for place in range(4)))
    return app, chain(split.step(4), picks, each(same.step()), join.step(), tell.step())


async def main(url: str, ledger: str, point: str) -> None:
    app, _ = make(url, Path(ledger))
    if point:
        die_at(point)
    server = app.server(
        lease=6, recover_interval=0.2, forward_interval=0.1, poll_interval=0.05, handle_signals=False
    )
    async with app:
        await server.serve()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
