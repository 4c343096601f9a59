"""The screens of all flows and of one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from asynq_py import FlowInfo, FlowState, Inspector
from asynq_py.dash import flow_screen, flows_screen
from tests.clock import ManualClock
from tests.dash.scene import flows as some_flows
from tests.dash.scene import scene
from tests.dash.seat import Seat, before, dashboard
from tests.dash.seat import seat as seat_of
from tests.state import seed


@asynccontextmanager
async def flows(redis_url: str, clock: ManualClock, *, is_read_only: bool = False) -> AsyncGenerator[Seat]:
    async with before(redis_url, clock, is_read_only=is_read_only) as seat:
        await seat.press("4")
        await seat.until_status("flows on it")
        yield seat


@asynccontextmanager
async def flow(
    redis_url: str, clock: ManualClock, name: str, *, is_read_only: bool = False
) -> AsyncGenerator[Seat]:
    """Sit before the steps of that flow."""
    async with flows(redis_url, clock, is_read_only=is_read_only) as seat:
        await seat.press(*["down"] * seat.column("flows").index(name), "enter")
        await seat.until_status(" steps")
        yield seat


async def test_flows_are_listed_with_how_far_they_are(
    flowing: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with flows(redis_url, clock) as seat:
        assert seat.status == "page 1, 4 flows on it, 1 running"
        assert seat.rows("flows") == [
            ["report-3", "report", "succeeded", "██████████ 1/1", "2h ago", "1h56m ago", ""],
            ["report-4", "report", "cancelled", "██████████ 1/1", "1h ago", "58m20s ago", ""],
            ["order-9", "order", "failed", "███░░░░░░░ 1/3", "6m40s ago", "30s ago", "out of boxes"],
            ["album-7", "publish album", "running", "███░░░░░░░ 2/7", "1m35s ago", "-", ""],
        ]


async def test_where_there_are_no_flows_none_are_listed(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with flows(redis_url, clock) as seat:
        assert seat.status == "page 1, 0 flows on it, 0 running"
        await seat.press("enter", "c", "n", "p")
        assert not seat.is_asked


async def test_many_flows_are_read_one_page_at_a_time(
    redis: Redis, redis_url: str, clock: ManualClock
) -> None:
    await seed(redis, scene() | some_flows(more=2 * flows_screen.PAGE - 10))
    asked: list[tuple[int, int]] = []

    class Watched(Inspector):
        async def flows(self, page: int = 1, size: int = 30) -> list[FlowInfo]:
            asked.append((page, size))
            return await super().flows(page, size)

    async with Watched(redis_url, clock=clock) as inspector, seat_of(dashboard(inspector, clock)) as seat:
        await seat.until_status("queues")
        await seat.press("4")
        await seat.until_status("page 1, 50 flows on it")
        await seat.press("n")
        await seat.until_status("page 2, 44 flows on it")
        assert "album-7" not in seat.column("flows")
        await seat.press("n")
        await seat.until_status("page 2 of 2, 44 flows on it")  # there was nothing behind it
        await seat.press("n")
        await seat.press("p")
        await seat.until_status("page 1 of 2, 50 flows on it")
        assert "album-7" in seat.column("flows")
    assert asked == [(1, 50), (2, 50), (3, 50), (2, 50), (1, 50)]


async def test_a_flow_shows_its_steps_as_a_tree(flowing: Redis, redis_url: str, clock: ManualClock) -> None:
    async with flow(redis_url, clock, "album-7") as seat:
        assert seat.status == "running; page 1 of 1, 8 steps"
        assert [(row[0], row[1], row[2], row[3], row[5]) for row in seat.rows("steps")] == [
            ("0", "photo:list", "done", "", ""),
            ("└ 1", "photo:resize", "waiting", "0", "██░░░░░░░░ 1 of 4 items"),
            ("└ 1.0", "photo:resize", "done", "", ""),
            ("└ 1.1", "photo:resize", "active", "", "████████░░ 75% thumbnails"),
            ("└ 1.2", "photo:resize", "retry", "", "disk full"),
            ("└ 1.3", "photo:resize", "pending", "", ""),
            ("└ 2", "album:publish", "waiting", "1", ""),
            ("f0", "notify:push", "idle", "", ""),
        ]
        table = seat.table("steps")
        deep = [str(table.get_row_at(at)[1]).index("└") for at in (1, 2, 6)]
        assert deep == [0, 2, 2]  # a step stands to the right of those it waits for
        assert "steps done    █████████░░░░░░░░░░░░░░░░░░░░░ 2/7" in seat.text("#flow")
        assert "failed in" not in seat.text("#flow")


async def test_a_flow_that_failed_says_where_and_why(
    flowing: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with flow(redis_url, clock, "order-9") as seat:
        assert "failed in     step 1\nerror         out of boxes" in seat.text("#flow")
        assert seat.rows("steps")[1][2:] == ["failed", "", "media", "out of boxes"]


async def test_the_steps_of_a_large_flow_are_shown_and_their_tasks_asked_a_page_at_a_time(
    flowing: Redis, redis_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_screen, "PAGE", 3)
    async with flow(redis_url, clock, "album-7") as seat:
        assert seat.status == "running; page 1 of 3, 8 steps"
        await seat.press("n")
        await seat.until_status("page 2 of 3")
        assert [row[2] for row in seat.rows("steps")] == ["active", "retry", "pending"]
        await seat.press("G")
        await seat.until_status("page 3 of 3")
        assert seat.column("steps") == ["└ 2", "f0"]
        await seat.press("n", "g")
        await seat.until_status("page 1 of 3")


async def test_from_a_step_to_its_task_and_back(flowing: Redis, redis_url: str, clock: ManualClock) -> None:
    async with flow(redis_url, clock, "album-7") as seat:
        await seat.press("down", "down", "down", "enter")
        await seat.until_status("active in queue media")
        await seat.press("escape")
        await seat.until_status("8 steps")
        await seat.press("escape")
        await seat.until_status("4 flows on it")


async def test_a_flow_that_is_no_more_is_shown_as_it_was(
    flowing: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with flow(redis_url, clock, "album-7") as seat:
        await flowing.delete("asynq:flow:{album-7}")
        await seat.press("ctrl+l")
        await seat.until_status("the flow is no more; this is how it was")
        assert "publish album" in seat.text("#flow")
        assert not seat.footer & {"Cancel", "Retry"}


# -- actions -----------------------------------------------------------------------------------------------


async def test_a_flow_is_cancelled_after_a_yes_and_not_before(
    flowing: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with flow(redis_url, clock, "album-7") as seat:
        assert "Cancel" in seat.footer
        assert "Retry" not in seat.footer
        await seat.press("c")
        assert await seat.question() == "Cancel flow album-7 (publish album), running, 2 of 7 steps done?"
        await seat.press("enter")
        await seat.until(lambda: not seat.is_asked)
        assert (await asked.flow("album-7")).state is FlowState.RUNNING

        await seat.press("c")
        await seat.question()
        await seat.press("y")
        await seat.until_status("cancelled; page 1 of 1")
        assert seat.told == ["1 flow cancelled"]
        assert (await asked.flow("album-7")).state is FlowState.CANCELLED
        assert not seat.footer & {"Cancel", "Retry"}


async def test_a_flow_that_failed_is_tried_again(
    flowing: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with flow(redis_url, clock, "order-9") as seat:
        assert seat.footer & {"Cancel", "Retry"} == {"Retry"}
        await seat.press("r")
        await seat.question()
        await seat.press("y")
        await seat.until_status("running; page 1 of 1")
        assert seat.rows("steps")[1][2] == "pending"


async def test_marked_flows_are_cancelled_together_and_the_others_told(
    flowing: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with flows(redis_url, clock) as seat:
        await seat.press("space", "down", "down", "space")  # a mark moves the cursor on
        await seat.until_status("2 marked")
        await seat.press("c")
        assert await seat.question() == "Cancel 2 flows?"
        await seat.press("y")
        await seat.until_is(lambda: seat.told, ["1 flow cancelled", "flow 'report-3' had ended already"])
        await seat.until_status("0 running")
        assert "marked" not in seat.status


async def test_who_only_looks_is_offered_nothing_that_changes_a_flow(
    flowing: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with flows(redis_url, clock, is_read_only=True) as seat:
        assert not seat.footer & {"Cancel", "Retry"}
        await seat.press("c", "r")
        assert not seat.is_asked
    async with flow(redis_url, clock, "album-7", is_read_only=True) as seat:
        assert not seat.footer & {"Cancel", "Retry"}
        await seat.press("c", "r")
        assert not seat.is_asked
