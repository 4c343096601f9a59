"""The screen of one task."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from textual.widgets import Static

from asynq_py import Inspector
from tests.clock import ManualClock
from tests.dash.seat import Seat, before
from tests.dash.test_tasks import tasks


@asynccontextmanager
async def task(redis_url: str, clock: ManualClock, state: str) -> AsyncGenerator[Seat]:
    """Sit before the first task of that state."""
    async with tasks(redis_url, clock, state) as seat:
        await seat.press("enter")
        await seat.until_status(f"{state} in queue default")
        yield seat


async def test_all_is_told_with_the_payload_decoded(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with task(redis_url, clock, "archived") as seat:
        facts = dict(line.split(maxsplit=1) for line in seat.text("#facts").splitlines())
        assert facts["state"] == "archived"
        assert facts["type"] == "import:file"
        assert facts["tries"] == "25 of 25 retries taken"
        assert facts["timeout"] == "30m"
        assert facts["last"].endswith("2h ago")
        assert facts["header"] == "trace  4bf92f3577b3"
        # what looks like markup is shown as it is
        assert seat.text("#error") == "ValueError: row 3: no such product: [bold]chair[/bold]"
        assert seat.app.screen.query_one("#payload", Static).border_title == "payload: JSON, 65 bytes"
        assert '\n  "user": "Zoë"\n' in seat.text("#payload")
        assert not seat.app.screen.query_one("#result", Static).display


async def test_a_running_task_tells_how_far_it_is(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with task(redis_url, clock, "active") as seat:
        facts = dict(line.split(maxsplit=1) for line in seat.text("#facts").splitlines())
        assert facts["progress"] == (
            "██████████████░░░░░░░░░░░░░░░░  5400 of 12000 (45%), second pass, 3s ago"
        )


async def test_what_has_told_no_progress_shows_none(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with task(redis_url, clock, "archived") as seat:
        assert "progress" not in seat.text("#facts")


async def test_binary_payloads_are_a_hex_dump(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with task(redis_url, clock, "retry") as seat:
        assert seat.text("#payload").startswith("00000000  c8 c9 ca")


async def test_results_are_decoded(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with task(redis_url, clock, "completed") as seat:
        assert seat.text("#result") == '{\n  "total": 1234.5\n}'


@pytest.mark.parametrize(
    ("state", "key", "becomes"),
    [("retry", "r", "pending"), ("retry", "a", "archived"), ("archived", "r", "pending")],
)
async def test_a_task_is_moved_and_what_it_became_is_shown(
    seeded: Redis, redis_url: str, clock: ManualClock, state: str, key: str, becomes: str
) -> None:
    async with task(redis_url, clock, state) as seat:
        await seat.press(key)
        await seat.question()
        await seat.press("y")
        await seat.until_status(f"{becomes} in queue default")


async def test_a_task_that_is_no_more_is_shown_as_it_was(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with task(redis_url, clock, "archived") as seat:
        await seat.press("d")
        assert await seat.question() == "Delete task import-1 of queue default?"
        await seat.press("y")
        await seat.until_status("the task is no more; this is how it was")
        assert "import-1" in seat.text("#facts")
        assert not seat.footer & {"Run", "Delete"}
        await seat.press("escape")
        await seat.until_status("1 archived tasks")


async def test_from_a_server_to_the_task_that_it_runs(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("2")
        await seat.until_status("workers busy")
        await seat.press("tab", "enter")
        await seat.until_status("active in queue default")
        assert seat.footer & {"Run", "Archive", "Delete", "Cancel"} == {"Cancel"}
