"""The screen of the tasks of a queue."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector
from asynq_py.cli.states import STATES
from asynq_py.dash import search
from asynq_py.wire import limits
from tests.clock import ManualClock
from tests.dash.seat import Seat, before
from tests.eventually import eventually


@asynccontextmanager
async def tasks(redis_url: str, clock: ManualClock, state: str = "pending") -> AsyncGenerator[Seat]:
    """Sit before the tasks of the queue `default` in that state."""
    async with before(redis_url, clock) as seat:
        await seat.press("down", "enter")
        await seat.until_status("120 pending tasks")
        by = STATES.index(state) - STATES.index("pending")
        await seat.press(*(["l"] * by if by > 0 else ["h"] * -by))
        what = "groups" if state == "aggregating" else f"{state} tasks"
        await seat.until_status(f" {what}")
        yield seat


@pytest.mark.parametrize(
    ("state", "ids"),
    [
        ("active", ["video-1", "video-2", "video-lost"]),
        ("scheduled", ["report-1"]),
        ("retry", ["hook-1", "pay-1"]),
        ("archived", ["import-1", "import-2"]),
        ("completed", ["sum-1"]),
    ],
)
async def test_each_state_has_its_tasks(
    seeded: Redis, redis_url: str, clock: ManualClock, state: str, ids: list[str]
) -> None:
    async with tasks(redis_url, clock, state) as seat:
        assert seat.column("tasks") == ids
        assert seat.status == f"page 1 of 1, {len(ids)} {state} tasks"


async def test_a_row_tells_what_matters(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with tasks(redis_url, clock, "retry") as seat:
        assert seat.rows("tasks") == [
            ["hook-1", "webhook:call", "40 bytes, no text", "3/25", "in 42s", "503 Service Unavailable"],
            ["pay-1", "payment:capture", '{"order": 4711, "amount": "19.90"}', "1/25", "in 1m35s",
             "the bank did not answer within 10 s"],
        ]  # fmt: skip
        await seat.press("l", "l")
        await seat.until_status("completed tasks")
        assert seat.rows("tasks")[0][-2:] == ["30s ago", 'result {"total": 1234.5}']
        await seat.press("l")
        await seat.until_status("active tasks")
        assert [row[-1] for row in seat.rows("tasks")] == [
            "████░░░░░░ 45% second pass", "", "its worker is lost",
        ]  # fmt: skip


async def test_tabs_count_and_can_be_clicked(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with tasks(redis_url, clock) as seat:
        counts = {"active": 3, "pending": 120, "aggregating": 4, "scheduled": 1, "retry": 2, "archived": 2}
        assert seat.tabs == [f"{state} {count}" for state, count in {**counts, "completed": 1}.items()]
        await seat.click("#archived")
        await seat.until_status("2 archived tasks")


async def test_pages_are_read_one_at_a_time(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    async with tasks(redis_url, clock) as seat:
        assert seat.status == "page 1 of 3, 120 pending tasks"
        assert seat.column("tasks") == [f"mail-{at:03}" for at in range(50)]
        await seat.press("n")
        await seat.until_status("page 2 of 3")
        assert seat.column("tasks") == [f"mail-{at:03}" for at in range(50, 100)]
        await seat.press("G")
        await seat.until_status("page 3 of 3")
        assert seat.column("tasks") == [f"mail-{at:03}" for at in range(100, 120)]
        await seat.press("n", "p")
        await seat.until_status("page 2 of 3")
        await seat.press("g")
        await seat.until_status("page 1 of 3")


async def test_a_page_that_is_no_more_gives_way_to_the_last(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with tasks(redis_url, clock) as seat:
        await seat.press("G")
        await seat.until_status("page 3 of 3")
        for at in range(60, 120):
            await asked.delete_task("default", f"mail-{at:03}")
        await seat.press("ctrl+l")
        await seat.until_status("page 2 of 2, 60 pending tasks")
        assert seat.column("tasks") == [f"mail-{at:03}" for at in range(50, 60)]


# -- filter ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "wanted", "ids"),
    [
        ("pending", "mail-00", [f"mail-00{at}" for at in range(10)]),
        ("pending", '"user_id": 77', ["mail-077"]),
        ("retry", "payment:*", ["pay-1"]),
        ("retry", "the bank", ["pay-1"]),
        ("archived", "no such text", []),
        ("aggregating", "notify:*", ["note-2", "note-1", "note-0", "note-9"]),
    ],
)
async def test_a_filter_is_for_types_ids_payloads_and_errors(
    seeded: Redis, redis_url: str, clock: ManualClock, state: str, wanted: str, ids: list[str]
) -> None:
    async with tasks(redis_url, clock, state) as seat:
        await seat.filter(wanted)
        await seat.until_status(f"{len(ids)} {state} tasks with {wanted!r}")
        assert seat.column("tasks") == ids


async def test_a_filter_goes_through_all_tasks_in_bounded_passes(
    seeded: Redis, redis_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "BUDGET", 30)
    async with tasks(redis_url, clock) as seat:
        await seat.filter("9")
        await seat.until_status("120 read")  # in four passes, without a word from the user
        assert seat.status == "page 1 of 1, 21 pending tasks with '9', 120 read"


async def test_a_filter_reads_no_further_than_the_page_that_is_shown(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with tasks(redis_url, clock) as seat:
        await seat.filter("email:*")
        await seat.until_status("page 1 of 2, 51 pending tasks with 'email:*', 51 read")
        await seat.press("n")
        await seat.until_status("page 2 of 3, 101 pending tasks with 'email:*', 101 read")
        assert seat.column("tasks") == [f"mail-{at:03}" for at in range(50, 100)]
        await seat.press("escape")
        await seat.until_status("page 1 of 3, 120 pending tasks")


async def test_with_a_filter_only_what_can_be_seen_can_be_acted_on(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with tasks(redis_url, clock) as seat:
        assert {"Delete", "Delete all"} <= seat.footer
        await seat.filter("mail-00")
        await seat.until_status("with 'mail-00'")
        assert "Delete" in seat.footer
        assert "Delete all" not in seat.footer


# -- groups ------------------------------------------------------------------------------------------------


async def test_groups_come_first_and_then_their_tasks(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with tasks(redis_url, clock, "aggregating") as seat:
        assert seat.rows("tasks") == [["user:7", "3"], ["user:8", "1"]]
        await seat.press("enter")
        await seat.until_status("3 aggregating tasks in group user:7")
        assert seat.column("tasks") == ["note-2", "note-1", "note-0"]
        await seat.press("escape")
        await seat.until_status("2 groups")


async def test_all_tasks_of_the_group_under_the_cursor_are_run(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with tasks(redis_url, clock, "aggregating") as seat:
        await seat.press("R")
        assert await seat.question() == "Run 3 aggregating tasks in group user:7 of queue default?"
        await seat.press("y")
        await seat.until_is(lambda: seat.rows("tasks"), [["user:8", "1"]])
        assert (await asked.queue_info("default")).pending == 123


# -- actions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "key", "question", "becomes"),
    [
        ("scheduled", "r", "Run task report-1 of queue default?", "pending"),
        ("retry", "r", "Run task hook-1 of queue default?", "pending"),
        ("retry", "a", "Archive task hook-1 of queue default?", "archived"),
        ("archived", "r", "Run task import-1 of queue default?", "pending"),
        ("completed", "r", "Run task sum-1 of queue default?", "pending"),
        ("completed", "a", "Archive task sum-1 of queue default?", "archived"),
        ("pending", "a", "Archive task mail-000 of queue default?", "archived"),
    ],
)
async def test_one_task_is_moved(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector,
    state: str, key: str, question: str, becomes: str,
) -> None:  # fmt: skip
    async with tasks(redis_url, clock, state) as seat:
        task_id = seat.column("tasks")[0]
        await seat.press(key)
        assert await seat.question() == question
        await seat.press("y")
        await seat.until(lambda: task_id not in seat.column("tasks"))
        assert (await asked.task_info("default", task_id)).state == becomes


@pytest.mark.parametrize("state", ["pending", "scheduled", "retry", "archived", "completed"])
async def test_one_task_is_deleted(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector, state: str
) -> None:
    async with tasks(redis_url, clock, state) as seat:
        task_id = seat.column("tasks")[0]
        before = (await asked.queue_info("default")).size
        await seat.press("d")
        assert await seat.question() == f"Delete task {task_id} of queue default?"
        await seat.press("y")
        await seat.until(lambda: task_id not in seat.column("tasks"))
        assert (await asked.queue_info("default")).size == before - 1


@pytest.mark.parametrize("answer", ["n", "escape", "enter"])
async def test_nothing_is_done_without_a_yes(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector, answer: str
) -> None:
    async with tasks(redis_url, clock, "archived") as seat:
        await seat.press("D")
        assert await seat.question() == "Delete 2 archived tasks of queue default?"
        await seat.press(answer)
        await seat.until(lambda: not seat.is_asked)
        assert (await asked.queue_info("default")).archived == 2


async def test_marked_tasks_of_several_pages_are_acted_on_together(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with tasks(redis_url, clock) as seat:
        await seat.press("space", "space", "n")
        await seat.until_status("page 2 of 3")
        await seat.press("home", "space", "a")
        assert await seat.question() == "Archive 3 tasks of queue default?"
        await seat.press("y")
        await seat.until_status("117 pending tasks")
        assert seat.told == ["3 tasks archived"]
        assert (await asked.queue_info("default")).archived == 5
        assert seat.table("tasks").marked == set()


@pytest.mark.parametrize(
    ("state", "key", "question", "told", "counts"),
    [
        ("pending", "A", "Archive 120 pending tasks", "120 tasks archived", {"pending": 0, "archived": 122}),
        ("pending", "D", "Delete 120 pending tasks", "120 tasks deleted", {"pending": 0, "archived": 2}),
        ("scheduled", "R", "Run 1 scheduled task", "1 task made pending", {"pending": 121, "scheduled": 0}),
        ("retry", "R", "Run 2 retry tasks", "2 tasks made pending", {"pending": 122, "retry": 0}),
        ("retry", "A", "Archive 2 retry tasks", "2 tasks archived", {"archived": 4, "retry": 0}),
        ("archived", "D", "Delete 2 archived tasks", "2 tasks deleted", {"archived": 0}),
        ("completed", "D", "Delete 1 completed task", "1 task deleted", {"completed": 0}),
    ],
)
async def test_all_of_a_state_are_moved_and_the_question_counts_them(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector,
    state: str, key: str, question: str, told: str, counts: dict[str, int],
) -> None:  # fmt: skip
    async with tasks(redis_url, clock, state) as seat:
        await seat.press(key)
        assert await seat.question() == f"{question} of queue default?"
        await seat.press("y")
        await seat.until_is(lambda: seat.told, [told])
        info = await asked.queue_info("default")
        assert {name: getattr(info, name) for name in counts} == counts


@pytest.mark.parametrize(
    ("key", "question", "ids"),
    [
        ("c", "Cancel task video-1 of queue default?", ["video-1"]),
        ("C", "Cancel 3 active tasks of queue default?", ["video-1", "video-2", "video-lost"]),
    ],
)
async def test_running_tasks_are_asked_to_end(
    seeded: Redis, one_server: str, clock: ManualClock, key: str, question: str, ids: list[str]
) -> None:
    async with seeded.pubsub() as pubsub, tasks(one_server, clock, "active") as seat:
        await pubsub.subscribe("asynq:cancel")
        heard: list[str] = []

        async def listen() -> list[str]:
            message = await pubsub.get_message(ignore_subscribe_messages=True)
            if message is not None:
                heard.append(message["data"].decode())
            return sorted(heard)

        await seat.press(key)
        assert await seat.question() == question
        assert await listen() == []
        await seat.press("y")
        assert await eventually(listen, lambda seen: len(seen) == len(ids)) == ids


async def test_only_what_fits_the_state_is_offered(seeded: Redis, redis_url: str, clock: ManualClock) -> None:
    verbs = {"Run", "Archive", "Delete", "Cancel", "Run all", "Archive all", "Delete all", "Cancel all"}
    async with tasks(redis_url, clock, "active") as seat:
        assert seat.footer & verbs == {"Cancel", "Cancel all"}
        await seat.press("l")
        await seat.until_status("pending tasks")
        assert seat.footer & verbs == {"Archive", "Delete", "Archive all", "Delete all"}
        await seat.press("l")
        await seat.until_status("groups")
        assert seat.footer & verbs == {"Run all", "Archive all", "Delete all"}


async def test_what_others_took_meanwhile_is_told(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with tasks(redis_url, clock, "archived") as seat:
        await seat.press("d")
        await seat.question()
        await asked.delete_task("default", "import-1")
        await seat.press("y")
        await seat.until(lambda: len(seat.told) == 2)
        assert seat.told[0] == "0 tasks deleted"
        assert "import-1" in seat.told[1]


async def test_nothing_to_do_is_said_rather_than_asked(
    seeded: Redis, redis_url: str, clock: ManualClock, asked: Inspector
) -> None:
    async with tasks(redis_url, clock, "archived") as seat:
        await asked.delete_all_archived("default")
        await seat.press("D")
        await seat.until_is(lambda: seat.told, ["there is nothing to do"])


async def test_a_queue_that_is_deleted_by_others_is_told(
    seeded: Redis, redis_url: str, clock: ManualClock
) -> None:
    async with before(redis_url, clock) as seat:
        await seat.press("enter")
        await seat.until_status("1 pending tasks")
        await seeded.srem("asynq:queues", "critical")
        await seeded.delete("asynq:{critical}:pending", "asynq:{critical}:t:pay-9")
        await seat.press("ctrl+l")
        await seat.until_status("critical")
        await seat.press("escape")
        await seat.until_status("4 queues")


async def test_a_page_of_a_million_tasks_costs_a_page(
    seeded: Redis, one_server: str, clock: ManualClock
) -> None:
    ids = [f"t{at}" for at in range(1_000_000)]
    for start in range(0, len(ids), 10_000):
        await seeded.rpush("asynq:{default}:pending", *ids[start : start + 10_000])
    async with before(one_server, clock) as seat:
        await seat.press("down", "enter")
        await seat.until_status("page 1 of 20,003, 1,000,120 pending tasks")
        calls = (await seeded.info("commandstats"))["cmdstat_hmget"]["calls"]
        await seat.press("n")
        await seat.until_status("page 2 of")
        calls = (await seeded.info("commandstats"))["cmdstat_hmget"]["calls"] - calls
        assert 0 < calls < 2 * limits.INSPECT_BATCH
