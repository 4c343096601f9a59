"""The screen of all queues."""

from __future__ import annotations

from redis.asyncio import Redis

from asynq_py import Inspector
from asynq_py.dash.queue_panel import QueuePanel
from asynq_py.dash.queue_watch import PORTION
from tests.clock import ManualClock
from tests.dash.seat import before
from tests.servers import each_server
from tests.state import kept, seed, state


async def test_queues_are_listed_in_numbers(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with before(redis_url, clock) as seat:
        rows = {row[0]: row[1:6] for row in seat.rows("queues")}
        assert rows == {
            "critical": ["1", "1", "0", "0", "0"],
            "default": ["133", "120", "3", "2", "2"],
            "images": ["1", "0", "1", "0", "0"],
            "low": ["40", "0", "0", "0", "0"],
            "reports (paused)": ["1", "0", "0", "0", "1"],
        }
        assert seat.status == "5 queues, 1 paused, 176 tasks; by name"


async def test_sparklines_grow_with_each_look(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with before(redis_url, clock) as seat:
        assert seat.rows("queues")[0][6:] == ["…", "…", "█   250ms"]

        for processed, failed in ((40, 0), (80, 8)):
            clock.advance(2)
            await seeded.incrby("asynq:{critical}:processed", processed)
            await seeded.incrby("asynq:{critical}:failed", failed)
            await seat.press("ctrl+l")
            await seat.until_is(lambda: seat.rows("queues")[0][6].split()[-1], str(processed // 2))

        assert seat.rows("queues")[0][6:] == ["▅█      40", "▁█       4", "▁▅█      4s"]
        assert seat.text("#processed-title") == "processed  40 a second"
        assert seat.text("#failed-title") == "failed  4 a second"
        assert seat.text("#latency-title") == "latency  4s"


async def test_the_panel_tells_of_the_queue_under_the_cursor(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with before(redis_url, clock) as seat:
        assert "today 9,120 processed, 2 failed (0.02%)" in seat.text("#numbers")
        await seat.press("down")
        await seat.until(lambda: seat.text("#numbers"), lambda text: text.startswith("default"))
        assert "pending 120" in seat.text("#numbers")
        assert "groups 2" in seat.text("#numbers")


async def test_a_click_moves_to_a_queue_and_another_opens_it(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.click("#queues", (6, 2))  # the header is line 0
        await seat.until(lambda: seat.table("queues").current, lambda name: name == "default")
        await seat.click("#queues", (6, 2))
        await seat.until_status("120 pending tasks")


async def test_queues_are_sorted_and_the_cursor_stays_on_its_queue(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("down", "down")
        assert seat.table("queues").current == "images"
        await seat.press("s")
        await seat.until_status("by size")
        assert seat.column("queues") == ["default", "low", "critical", "images", "reports (paused)"]
        assert seat.table("queues").current == "images"
        await seat.press("s")
        await seat.until_status("by latency")
        assert seat.column("queues")[:2] == ["default", "critical"]


async def test_queues_are_filtered_by_name(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("slash")
        await seat.write("it")
        await seat.until(lambda: seat.column("queues"), lambda names: names == ["critical"])
        await seat.press("enter", "escape")
        await seat.until(lambda: seat.column("queues"), lambda names: len(names) == 5)


async def test_new_queues_come_and_deleted_ones_go(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with before(redis_url, clock) as seat:
        await asked.delete_queue("critical", force=True)
        await seeded.sadd("asynq:queues", "zebra")
        await seat.press("ctrl+l")
        await seat.until(
            lambda: seat.column("queues"),
            lambda names: names == ["default", "images", "low", "reports (paused)", "zebra"],
        )


# -- actions -----------------------------------------------------------------------------------------------


async def test_a_queue_is_paused_and_unpaused(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("down", "z")
        assert await seat.question() == "Pause queue default?"
        await seat.press("y")
        await seat.until(lambda: "default (paused)" in seat.column("queues"))
        assert (await asked.queue_info("default")).is_paused
        assert seat.told == ["1 queue paused"]

        await seat.press("u")
        assert await seat.question() == "Unpause queue default?"
        await seat.press("y")
        await seat.until(lambda: "default" in seat.column("queues"))
        assert not (await asked.queue_info("default")).is_paused


async def test_marked_queues_are_paused_together_and_failures_are_told(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("space", "space", "end", "down", "down", "space", "z")
        assert await seat.question() == "Pause 3 queues?"
        await seat.press("y")
        await seat.until(lambda: seat.told, lambda told: len(told) == 2)
        assert seat.told == ["2 queues paused", "queue 'reports' is already paused"]
        assert (await asked.queue_info("critical")).is_paused
        assert (await asked.queue_info("default")).is_paused
        assert seat.table("queues").marked == set()


async def test_a_queue_is_deleted_with_its_tasks_when_the_answer_is_yes(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("down", "down", "down", "d")
        assert await seat.question() == "Delete queue low with 40 tasks?"
        await seat.press("enter")  # "no" has the focus
        await seat.until(lambda: not seat.is_asked)
        assert "low" in await asked.queues()

        await seat.press("d")
        await seat.question()
        await seat.click("#yes")
        await seat.until(lambda: "low" not in seat.column("queues"))
        assert "low" not in await asked.queues()


async def test_read_only_nothing_is_offered_that_changes_anything(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with before(redis_url, clock, is_read_only=True) as seat:
        assert not seat.footer & {"Pause", "Unpause", "Delete"}
        await seat.press("z", "s")
        await seat.until_status("by size")
        assert not seat.is_asked
        assert not (await asked.queue_info("critical")).is_paused


# -- a thousand --------------------------------------------------------------------------------------------


async def _scripts(redis: Redis) -> int:
    """How many scripts Redis has run: several for each queue that is looked at."""
    calls = 0
    async with each_server(redis) as servers:
        for server in servers:
            stats = await server.info("commandstats")
            calls += stats.get("cmdstat_evalsha", {}).get("calls", 0)
    return calls


async def test_of_a_thousand_queues_a_look_asks_for_those_in_sight_and_a_portion(
    redis: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    for at in range(1000):
        await seed(redis, state(f"queue-{at:03}", pending=[kept("t")]))
    await redis.sadd("asynq:queues", *(f"queue-{at:03}" for at in range(1000)))
    one = await _scripts(redis)
    await asked.queue_info("queue-000")
    one = await _scripts(redis) - one
    async with before(redis_url, clock) as seat:
        await seat.until_status("1,000 queues")
        table = seat.table("queues")
        in_sight = len(table.in_sight)
        assert in_sight < 40

        begin = await _scripts(redis)
        looks = 0
        while "looked at so far" in seat.status:
            seen = seat.status
            await seat.press("ctrl+l")
            await seat.until(lambda: seat.status, seen.__ne__)
            looks += 1
        assert await _scripts(redis) - begin <= looks * one * (in_sight + PORTION)
        assert looks <= 1000 // PORTION
        assert seat.status == "1,000 queues, 0 paused, 1,000 tasks; by name"


async def test_what_is_in_sight_is_looked_at_in_each_pass(
    redis: Redis, redis_url: str, clock: ManualClock
) -> None:
    names = [f"queue-{at:03}" for at in range(300)]
    await redis.sadd("asynq:queues", *names)
    async with before(redis_url, clock) as seat:
        await seat.press("ctrl+end")
        await seat.until(lambda: seat.table("queues").current, lambda name: name == names[-1])
        await seed(redis, state(names[-1], pending=[kept("a"), kept("b")]))
        await seat.press("ctrl+l")
        await seat.until(lambda: seat.rows("queues")[-1][1], lambda size: size == "2")
        assert seat.app.screen.query_one(QueuePanel).display
