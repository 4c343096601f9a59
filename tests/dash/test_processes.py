"""The screens of servers and of cron."""

from __future__ import annotations

from redis.asyncio import Redis

from tests.clock import ManualClock
from tests.dash.seat import before
from tests.eventually import eventually


async def test_servers_are_listed_with_what_the_one_under_the_cursor_runs(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("2")
        await seat.until_status("2 servers, 3 of 20 workers busy")
        queues = "critical=6, default=3, low=1"
        assert seat.rows("servers") == [
            ["web-1", "4000", "active", "2/10", queues, "1d ago"],
            ["web-2", "4001", "active", "1/10", queues, "2d ago"],
        ]
        assert seat.column("workers") == ["video-1", "video-2"]
        await seat.press("down")
        await seat.until_is(lambda: seat.column("workers"), ["img-1"])


async def test_servers_that_end_go(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("2")
        await seat.until_status("2 servers")
        clock.advance(60)
        await seat.press("ctrl+l")
        await seat.until_status("0 servers")
        assert seat.rows("workers") == []


async def test_a_task_that_a_server_runs_is_cancelled(
    seeded: Redis, one_server: str, clock: ManualClock
) -> None:
    async with seeded.pubsub() as pubsub, before(one_server, clock) as seat:
        await pubsub.subscribe("asynq:cancel")
        await seat.press("2")
        await seat.until_status("2 servers")
        await seat.press("tab", "down", "c")
        assert await seat.question() == "Cancel task video-2?"
        await seat.press("y")

        async def heard() -> object:
            message = await pubsub.get_message(ignore_subscribe_messages=True)
            return message and message["data"]

        assert await eventually(heard) == b"video-2"


async def test_cron_entries_are_listed_with_what_they_enqueued(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("3")
        await seat.until_status("3 entries")
        assert seat.rows("entries")[0] == [
            "*/5 * * * *", "report:build", "reports", '{"from": "cron"}', "in 1m40s", "3m20s ago",
        ]  # fmt: skip
        assert seat.column("events") == [f"cron-0-{at}" for at in range(4)]
        await seat.press("down")
        await seat.until_is(lambda: seat.column("events"), [f"cron-1-{at}" for at in range(4)])
        assert seat.column("events", 2)[0] == "5m ago"
