"""Schedulers of both languages beside each other; and what their specs mean."""

from __future__ import annotations

import asyncio
import random
import re
import time
from datetime import UTC, datetime
from functools import partial
from typing import cast

import pytest
from redis.asyncio import Redis

from asynq_py import DuplicateTaskError, Inspector, InvalidOptionError, Scheduler, Task
from asynq_py.scheduler.cron import parse
from tests.eventually import eventually
from tests.interop.peer import GoEntry, GoPeer

pytestmark = pytest.mark.timeout(60, func_only=True)

SECOND = 1_000_000_000  # Go's durations are nanoseconds
GO_ENTRY: GoEntry = {
    "spec": "@every 1s",
    "type": "go",
    "payload": "AHA=",
    "queue": "low",
    "max_retry": 3,
    "timeout": 90,
}


def _unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


async def test_go_lists_the_entries_of_a_python_scheduler(any_go: GoPeer) -> None:
    scheduler = Scheduler(any_go.url, heartbeat=0.1)
    often = scheduler.register("@every 1s", Task("t", b"p", max_retry=2), queue="low", timeout=90)
    never = scheduler.register("0 0 30 2 *", Task("u"))
    async with scheduler:
        found = await eventually(
            lambda: any_go.inspect("SchedulerEntries"),
            lambda seen: any(not entry["Prev"].startswith("0001") for entry in seen or ()),
        )
    entries = {entry["ID"]: entry for entry in found}
    assert entries.keys() == {often, never}
    assert (entries[often]["Spec"], entries[often]["Opts"]) == ("@every 1s", ["low", 2, 90 * SECOND])
    assert _unix(entries[often]["Next"]) == _unix(entries[often]["Prev"]) + 1
    assert abs(_unix(entries[often]["Next"]) - time.time()) < 30
    assert entries[never]["Next"].startswith("0001-01-01")
    assert entries[never]["Prev"].startswith("0001-01-01")
    assert not await any_go.inspect("SchedulerEntries")


async def test_go_reads_the_history_of_a_python_entry(any_go: GoPeer, redis: Redis) -> None:
    scheduler = Scheduler(any_go.url)
    entry_id = scheduler.register("@every 1s", Task("t"))
    async with scheduler:
        events = await eventually(
            lambda: any_go.inspect("ListSchedulerEnqueueEvents", entry_id),
            lambda seen: len(seen or ()) >= 2,
        )
        stored = cast("list[bytes]", await redis.lrange("asynq:{default}:pending", 0, -1))
    assert {event["TaskID"].encode() for event in events} <= set(stored)
    assert all(abs(_unix(event["EnqueuedAt"]) - time.time()) < 30 for event in events)


async def test_python_lists_the_entries_and_the_history_of_a_go_scheduler(any_go: GoPeer) -> None:
    async with Inspector(any_go.url) as inspector, any_go.schedule(GO_ENTRY):
        # Go first tells of its entries half a second, or five, after the start
        (entry,) = await eventually(
            inspector.scheduler_entries, lambda seen: bool(seen and seen[0].previous_enqueue_at)
        )
        events = await eventually(lambda: inspector.list_scheduler_enqueue_events(entry.id))
        tasks = {task.id: task for task in await inspector.list_pending("low")}
    assert (entry.spec, entry.type, entry.payload) == ("@every 1s", "go", b"\x00p")
    assert entry.options == {"queue": "low", "max_retry": 3, "timeout": 90}
    assert entry.next_enqueue_at is not None
    assert abs(entry.next_enqueue_at.timestamp() - time.time()) < 30
    assert {event.task_id for event in events} <= tasks.keys()
    assert {(task.type, task.payload, task.max_retry) for task in tasks.values()} == {("go", b"\x00p", 3)}


async def test_a_go_scheduler_beside_ours_changes_nothing_for_either(
    go: GoPeer, old_go: GoPeer, redis: Redis
) -> None:
    """Ours enqueues each of its times once, Go's each of its own; the tools of both show all."""
    schedulers = [Scheduler(go.url, heartbeat=0.1) for _ in range(2)]
    for scheduler in schedulers:
        scheduler.register("@every 1s", Task("go", b"\x00p"), name="ours", missed=1000)

    async def reached() -> tuple[int, int]:
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hget("asynq:{default}:cron:ours", "at")
            pipe.llen("asynq:{default}:pending")
            at, count = await pipe.execute()
        return int(at or 0), int(count)

    async def listed_by(peer: GoPeer) -> int:
        return len(await peer.inspect("SchedulerEntries") or ())

    async def listed_by_us() -> int:
        return len(await inspector.scheduler_entries())

    async with Inspector(go.url) as inspector, schedulers[0], schedulers[1]:
        begun, before = await eventually(reached, lambda found: found[0] > 0)
        async with go.schedule(GO_ENTRY), old_go.schedule(GO_ENTRY):
            for look in (partial(listed_by, go), partial(listed_by, old_go), listed_by_us):
                await eventually(look, lambda count: count == 4)
        await eventually(listed_by_us, lambda count: count == 2)  # Go's have ended and cleared up
        ended, after = await eventually(reached, lambda found: found[0] > begun + 3)
    assert after - before == ended - begun
    assert await redis.llen("asynq:{low}:pending") > 0
    assert await redis.keys("asynq:schedule*") == []


async def test_a_unique_lock_keeps_an_entry_of_both_from_being_enqueued_twice(
    go: GoPeer, redis: Redis
) -> None:
    answers: asyncio.Queue[object] = asyncio.Queue()
    scheduler = Scheduler(go.url, post_enqueue=lambda task, info, error: answers.put(error))
    scheduler.register("@every 1s", Task("go", b"\x00p"), queue="low", unique=600)
    async with go.schedule({**GO_ENTRY, "unique": 600}), scheduler:
        await answers.get()
        assert isinstance(await answers.get(), DuplicateTaskError)
    assert await redis.llen("asynq:{low}:pending") == 1


# -- specs --------------------------------------------------------------------------------------------------

ODD = [
    "", " ", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 0 *", "* * * * 7",
    "5-1 * * * *", "1-2-3 * * * *", "*/0 * * * *", "*/x * * * *", "1/2/3 * * * *", "mon * * * *",
    "*-5 * * * *", "* * * * january", "1,,2 * * * *", ",1 * * * *", "? ? ? ? ?", "? * * * 1",
    "5/7 1-23/4 ? jAn,FEB sUn-sat", "0 0 13 * 5", "0 0 */13 * 5", "0 0 */1 * 5", "0 0 13 * *,5",
    "0 0 1-31 * 5", "0 0 13 * 0-6", "0-0/2 * * * *", "0 0 30 2 *", "0 0 29 2 *", "0 0 31 4,6,9,11 *",
    "*/70 * * * *", "0 */30 * * *", "+5 * * * *", "007 * * * *", "@yearly", "@annually", "@monthly",
    "@weekly", "@daily", "@midnight", "@hourly", "@Daily", "@", "@every", "@every 90s", "@every 1h30m",
    "@every 1.5h", "@every 10ms", "@every 5", "@every 0", "@every 1d", "@every  5s",
    "TZ=Asia/Tokyo 0 9 * * *", "CRON_TZ=Asia/Tokyo @daily", "TZ=Asia/Tokyo", "TZ= 0 9 * * *",
    "TZ=Mars 0 9 * * *", "TZ=UTC ", " TZ=UTC 0 9 * * *", "TZ=UTC   0 9 * * *", "TZ=UTC @every 5s",
    "@daily ", " @daily", "@every 5s ",
]  # fmt: skip


# What Go takes no notice of, and we refuse: a comma too many, the end of a range without a beginning, a sign.
SLIP = re.compile(r"(^|[ ,]),|,( |$)|[*?]-|\+")


def _random_spec(chance: random.Random) -> str:
    bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))

    def item(least: int, most: int) -> str:
        low, high = sorted(chance.choices(range(least, most + 1), k=2))
        step = chance.choice(["", "", f"/{chance.randint(1, 20)}"])
        return chance.choice(["*", "?", str(low), f"{low}-{high}"]) + step

    fields = [",".join(item(*of) for _ in range(chance.choice([1, 1, 1, 2, 3]))) for of in bounds]
    text = " ".join(field if chance.random() < 0.6 else "*" for field in fields)
    if chance.random() < 0.3:  # one slip of the pen
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice("0159*?/-, @xX") + text[place + chance.randint(0, 1) :]
    return text


def _times(spec: str, zone: str, at: int, count: int) -> list[int] | None:
    try:
        schedule = parse(spec, zone)
    except InvalidOptionError:
        return None
    found: list[int] = []
    moment = schedule.next_after(at)
    while moment is not None and len(found) < count:
        found.append(moment)
        moment = schedule.next_after(moment)
    return found


async def test_specs_mean_to_us_what_they_mean_to_go(go: GoPeer) -> None:
    chance = random.Random(1)
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    specs = [
        (
            spec,
            chance.choice(["UTC", "Asia/Tokyo", "Asia/Kathmandu"]),
            start + chance.randrange(4 * 365 * 86400),
        )
        for spec in [*ODD, *(_random_spec(chance) for _ in range(1000))]
    ]

    theirs = await go.times(specs, count=3)

    ours = [_times(*given, 3) for given in specs]
    differ = {given[0]: (a, b) for given, a, b in zip(specs, ours, theirs, strict=True) if a != b}
    assert {spec for spec, (our, _) in differ.items() if our is not None or not SLIP.search(spec)} == set()
    assert "1,,2 * * * *" in differ
    assert ours.count(None) > 100


async def test_where_clocks_change_hourly_entries_are_due_when_they_are_to_go(go: GoPeer) -> None:
    specs = [
        (f"{minute} * * * *", zone, int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()))
        for minute in ("0", "30", "*/20", "59")
        for zone in ("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo")
        for day in (
            *("2026-03-07", "2026-03-28", "2026-04-04", "2026-04-23", "2026-10-03", "2026-10-24"),
            *("2026-10-29", "2026-10-31"),
        )
    ]
    assert [_times(*given, 150) for given in specs] == await go.times(specs, count=150)
