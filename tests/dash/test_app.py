"""What holds on all screens: help, colours, outages, and that nobody looks twice at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis
from textual.filter import Monochrome, NoColor

from asynq_py import Inspector
from asynq_py.dash.help_screen import HelpScreen
from asynq_py.dash.poller import AWAY
from tests.clock import ManualClock
from tests.dash.scene import default_queue
from tests.dash.seat import before, dashboard, seat
from tests.lasting_server import LastingServer
from tests.servers import plain_client
from tests.state import seed


async def test_help_has_every_key_of_the_footer(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("question_mark")
        await seat.until(lambda: isinstance(seat.app.screen, HelpScreen))
        text = seat.text("#help Static")
        assert "pause, unpause, delete with all tasks" in text
        await seat.press("escape")
        await seat.until(lambda: not isinstance(seat.app.screen, HelpScreen))


async def test_nobody_looks_any_more_when_the_dashboard_ends(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with before(redis_url, clock) as seat:
        seat.app._running = False  # as at the end: widgets go before the poller is cancelled
        await seat.app.screen.query("*").remove()
        assert not await seat.app.poller.look_once()


async def test_light_and_dark(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with before(redis_url, clock) as seat:
        assert seat.app.current_theme.dark
        await seat.press("t")
        assert not seat.app.current_theme.dark


async def test_without_colours_when_the_user_wants_none(
    seeded: Redis, redis_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with before(redis_url, clock) as seat:
        assert seat.app.no_color
        assert any(isinstance(found, Monochrome | NoColor) for found in seat.app._filters)


async def test_q_ends_it(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("q")
        assert not seat.app.is_running or seat.app._exit


async def test_there_is_never_more_than_one_look_under_way(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    class Slow(Inspector):
        """Each look waits until the test lets it go on."""

        under_way = 0
        most = 0
        begun = 0
        go_on = asyncio.Event()

        async def queues(self) -> list[str]:
            self.under_way += 1
            self.begun += 1
            self.most = max(self.most, self.under_way)
            await self.go_on.wait()
            self.under_way -= 1
            return await super().queues()

    async with Slow(redis_url, clock=clock) as inspector, seat(dashboard(inspector, clock)) as somebody:
        await somebody.until_is(lambda: inspector.begun, 1)
        await somebody.press("ctrl+l", "ctrl+l", "s", "ctrl+l")  # the screen answers meanwhile
        assert inspector.begun == 1
        inspector.go_on.set()
        await somebody.until_is(lambda: inspector.begun, 2)  # one look for all that was asked meanwhile
        await somebody.until_status("5 queues")
        assert inspector.most == 1


async def test_a_redis_that_goes_away_is_waited_for(
    server_kind: str, redis_url: str, clock: ManualClock, tmp_path: Path
) -> None:
    if server_kind not in ("embedded", "redis-server"):
        pytest.skip("only what this machine runs as one process can be killed")
    with LastingServer(server_kind, tmp_path) as server:
        await asyncio.to_thread(server.start)
        async with plain_client(server.url) as redis:
            await seed(redis, default_queue() | {"asynq:queues": {"default"}})  # type: ignore[arg-type]
        async with (
            Inspector(server.url, clock=clock) as inspector,
            seat(dashboard(inspector, clock, interval=0.05)) as somebody,
        ):
            await somebody.until_status("1 queues")
            await asyncio.to_thread(server.kill)
            await somebody.until_status(AWAY)
            assert somebody.rows("queues")[0][1] == "133"  # what was seen last is still there

            await somebody.press("z")
            await somebody.question()
            await somebody.press("y")
            await somebody.until(lambda: any("Redis is away" in text for text in somebody.told))

            await asyncio.to_thread(server.start)
            await somebody.until(lambda: somebody.status, lambda text: AWAY not in text)
            await somebody.press("z")
            await somebody.question()
            await somebody.press("y")
            await somebody.until_is(lambda: somebody.column("queues"), ["default (paused)"])


async def test_it_starts_before_redis_does(clock: ManualClock, tmp_path: Path) -> None:
    async with (
        Inspector(f"unix://{tmp_path}/none.sock", clock=clock) as inspector,
        seat(dashboard(inspector, clock)) as somebody,
    ):
        await somebody.until_status(AWAY)
