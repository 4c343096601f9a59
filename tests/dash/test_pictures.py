"""How the dashboard looks, to the letter. `make screenshots` draws the pictures anew, for the docs as well.

Without the fixtures of a server: pictures are drawn in an event loop of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from textual.pilot import Pilot

from asynq_py import Inspector, QueueInfo
from asynq_py.dash.app import Dashboard
from asynq_py.dash.queues_screen import QueuesScreen
from tests.clock import ManualClock
from tests.dash.scene import flows, scene
from tests.dash.seat import NEVER, PLACE, Seat, desk
from tests.servers import plain_client, running
from tests.state import NOW, seed

SIZE: Final = (132, 34)
SNAPSHOTS: Final = Path(__file__).parent / "__snapshots__" / "test_pictures"
IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
# What is pressed for each picture, step by step, and what the status line says after each of them.
PICTURES: Final = {
    "queues": (("down", "5 queues"),),
    "light": (("t down", "5 queues"),),
    "tasks": (("down enter", "120 pending"), ("l l l l", "2 archived tasks"), ("space space", "2 marked")),
    "groups": (("down enter", "120 pending"), ("l", "2 groups")),
    "task": (
        ("down enter", "120 pending"), ("l l l l", "2 archived tasks"), ("enter", "archived in queue default")
    ),
    "confirm": (("down enter", "120 pending tasks"), ("A", "120 pending tasks")),
    "servers": (("2", "2 servers"),),
    "cron": (("3", "3 entries"),),
    "progress": (("2", "2 servers"), ("tab enter", "active in queue default")),
    "flows": (("4", "4 flows"),),
    "flow": (("4", "4 flows"), ("down down down enter", "8 steps")),
    "help": (("question_mark", "5 queues"),),
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Generator[str]:
    with running("embedded") as url:
        yield url


class Drawn(Dashboard):
    """Closes its connection before its event loop ends."""

    async def on_unmount(self) -> None:
        await self._desk.inspector.aclose()


class Steady(Inspector):
    """Of memory each version of a server takes another amount."""

    async def queue_info(self, queue: str) -> QueueInfo:
        return replace(await super().queue_info(queue), memory_usage=26_214)


async def _fill(url: str, name: str) -> None:
    async with plain_client(url) as redis:
        await redis.flushall()
        await seed(redis, scene() | (flows() if name.startswith("flow") else {}))  # type: ignore[arg-type]


async def _work(seat: Seat, url: str, clock: ManualClock) -> None:
    """Have queues process some, and fail some, while the dashboard looks."""
    screen = seat.app.screen
    assert isinstance(screen, QueuesScreen)

    def seen() -> QueueInfo:
        return screen._seen.infos[0]

    async with plain_client(url) as redis:
        for look in range(24):
            clock.advance(2)
            for at, queue in enumerate(("critical", "default", "images")):
                await redis.incrby(f"asynq:{{{queue}}}:processed", 40 * at + 25 * ((look * (at + 2)) % 7))
                await redis.incrby(f"asynq:{{{queue}}}:failed", at * (look % 5 == 0))
            await seat.press("ctrl+l")
            await seat.until(seen, lambda info: info.looked_at.timestamp() == clock.now)


@pytest.mark.parametrize("name", PICTURES)
def test_picture(name: str, server: str, snap_compare: Callable[..., bool]) -> None:
    clock = ManualClock(NOW)
    asyncio.run(_fill(server, name))
    app = Drawn(desk(Steady(server, clock=clock), clock), place=PLACE, interval=NEVER)

    async def sit(pilot: Pilot[Any]) -> None:
        seat = Seat(app, pilot)
        await seat.until_status("queues")
        if name in ("queues", "light"):
            await _work(seat, server, clock)
        for keys, status in PICTURES[name]:
            for key in keys.split():
                await seat.press(key)
                await pilot.pause()
            await seat.until_status(status)
            await seat.laid_out()
        if name == "confirm":
            await seat.question()
            await seat.laid_out()

    assert snap_compare(app, terminal_size=SIZE, run_before=sit)


@pytest.mark.parametrize("name", PICTURES)
def test_the_docs_have_the_same_picture(name: str) -> None:
    image = IMAGES / f"dash-{name}.svg"
    assert image.read_text("utf-8") == (SNAPSHOTS / f"test_picture[{name}].svg").read_text("utf-8"), (
        "run make screenshots"
    )
