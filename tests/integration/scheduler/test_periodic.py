"""PeriodicTaskManager: the scheduler does what the provider lists. Behaviour 12.3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from asynq_py import (
    BrokerError,
    Inspector,
    InvalidOptionError,
    PeriodicTask,
    PeriodicTaskFile,
    PeriodicTaskFileError,
    PeriodicTaskManager,
    Scheduler,
    SchedulerEntryInfo,
    ServerStateError,
    Task,
)
from tests.clock import ManualClock
from tests.eventually import eventually

A, B = (PeriodicTask("@daily", Task(name)) for name in "ab")
BAD = PeriodicTask("@dayly", Task("bad"))


class Provider:
    """Lists what the test puts there, or raises it."""

    def __init__(self, *listed: PeriodicTask) -> None:
        self.listed: Any = list(listed)
        self.asked = asyncio.Event()

    async def __call__(self) -> Iterable[PeriodicTask]:
        self.asked.set()
        if isinstance(self.listed, BaseException):
            raise self.listed
        listed: Iterable[PeriodicTask] = self.listed
        return listed


@pytest.fixture
async def tools(redis_url: str) -> AsyncGenerator[Inspector]:
    async with Inspector(redis_url) as inspector:
        yield inspector


def manager_of(redis_url: str, provider: Provider, **options: Any) -> PeriodicTaskManager:
    return PeriodicTaskManager(redis_url, provider, heartbeat=0.02, **options)


def registered(manager: PeriodicTaskManager) -> list[str]:
    """What tools will see with the next beat."""
    return list(manager._scheduler._entries)


async def listed(inspector: Inspector, *types: str) -> list[SchedulerEntryInfo]:
    """Wait until tools see entries of these types, and no other; return them sorted by type."""
    return sorted(
        await eventually(
            inspector.scheduler_entries,
            lambda found: sorted(entry.type for entry in found) == sorted(types),
        ),
        key=lambda entry: entry.type,
    )


# -- what the provider lists --------------------------------------------------------------------------------


async def test_what_is_listed_at_the_start_is_enqueued_at_its_times(redis_url: str, redis: Redis) -> None:
    provider = Provider(PeriodicTask("@every 1s", Task("t", b"p"), queue="low", max_retry=1))
    async with manager_of(redis_url, provider):
        await eventually(lambda: redis.llen("asynq:{low}:pending"))


async def test_what_is_new_begins_what_is_gone_ends_and_what_stays_keeps_its_id(
    redis_url: str, tools: Inspector
) -> None:
    provider = Provider(A, B)
    async with manager_of(redis_url, provider) as manager:
        before = await listed(tools, "a", "b")
        provider.listed = [B, PeriodicTask("@daily", Task("c"))]
        await manager.sync_once()
        after = await listed(tools, "b", "c")
        assert after[0].id == before[1].id


async def test_the_list_is_asked_for_again_and_again(redis_url: str, tools: Inspector) -> None:
    provider = Provider(A)
    async with manager_of(redis_url, provider, sync_interval=0.02):
        await listed(tools, "a")
        provider.listed = [B]
        await listed(tools, "b")


@pytest.mark.parametrize(
    "other",
    [
        PeriodicTask("@hourly", Task("a", b"p")),
        PeriodicTask("@daily", Task("a", b"q")),
        PeriodicTask("@daily", Task("a")),
        PeriodicTask("@daily", Task("a", b"p", headers={"h": "1"})),
        PeriodicTask("@daily", Task("a", b"p"), queue="low"),
        PeriodicTask("@daily", Task("a", b"p", queue="low")),
        PeriodicTask("@daily", Task("a", b"p"), missed="skip"),
        PeriodicTask("@daily", Task("a", b"p"), timezone="Asia/Tokyo"),
        PeriodicTask("@daily", Task("a", b"p"), name="mine"),
    ],
)
async def test_what_differs_in_anything_is_another_entry(
    redis_url: str, tools: Inspector, other: PeriodicTask
) -> None:
    provider = Provider(PeriodicTask("@daily", Task("a", b"p")))
    async with manager_of(redis_url, provider) as manager:
        (before,) = await listed(tools, "a")
        provider.listed = [PeriodicTask("@daily", Task("a", b"p"), max_retry=25)]  # only says the default
        await manager.sync_once()
        assert registered(manager) == [before.id]
        provider.listed = [other]
        await manager.sync_once()
        assert registered(manager) != [before.id]
        assert len(registered(manager)) == 1


async def test_of_identical_tasks_each_is_an_entry_and_each_can_be_removed(
    redis_url: str, tools: Inspector
) -> None:
    provider = Provider(A, A)
    async with manager_of(redis_url, provider) as manager:
        first, second = (entry.id for entry in await listed(tools, "a", "a"))
        await manager.sync_once()
        assert sorted(registered(manager)) == sorted([first, second])
        provider.listed = [A]
        await manager.sync_once()
        (left,) = registered(manager)
        assert left in (first, second)
        # the one that every replica has, even if it knows of one only
        assert ":2" not in manager._scheduler._entries[left].identity
        provider.listed = []
        await manager.sync_once()
        await listed(tools)


async def test_an_entry_of_a_name_is_replaced(redis_url: str, tools: Inspector) -> None:
    provider = Provider(PeriodicTask("@daily", Task("old"), name="mine"))
    async with manager_of(redis_url, provider) as manager:
        await listed(tools, "old")
        provider.listed = [PeriodicTask("@daily", Task("new"), name="mine")]
        await manager.sync_once()
        await listed(tools, "new")


async def test_two_replicas_that_learn_of_a_task_one_after_the_other_enqueue_each_time_once(
    redis_url: str, redis: Redis
) -> None:
    clock = ManualClock()
    provider = Provider()
    async with (
        manager_of(redis_url, provider, clock=clock) as one,
        manager_of(redis_url, provider, clock=clock) as two,
    ):
        provider.listed = [PeriodicTask("@every 60s", Task("t"))]
        await one.sync_once()
        clock.advance(20)
        await two.sync_once()
        for _ in range(3):
            clock.advance(60)
            for manager in (one, two):
                await manager._scheduler.tick_once()
        await eventually(lambda: redis.llen("asynq:{default}:pending"), lambda count: count == 3)


# -- what goes wrong ----------------------------------------------------------------------------------------


async def test_a_provider_that_fails_leaves_all_as_it_is(
    redis_url: str, tools: Inspector, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(A)
    async with manager_of(redis_url, provider, sync_interval=0.01) as manager:
        for failure in (OSError("the database is away"), SystemExit("enough"), None, 5, [A, None]):
            provider.listed = failure
            provider.asked.clear()
            await provider.asked.wait()
            provider.asked.clear()
            await provider.asked.wait()  # the first one was dealt with
            assert len(registered(manager)) == 1
        provider.listed = [A, B]
        await listed(tools, "a", "b")
    told = [record.message for record in caplog.records]
    assert "the provider of periodic tasks failed: all stays as it is" in told
    assert any(line.startswith("a periodic task is left out (not a PeriodicTask)") for line in told)
    assert "the database is away" in caplog.text


async def test_a_task_that_cannot_be_used_stops_no_other_and_is_tried_again(
    redis_url: str, tools: Inspector, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(A)
    async with manager_of(redis_url, provider, payload_limit=3) as manager:
        too_large = PeriodicTask("@daily", Task("large", b"four"))
        provider.listed = [BAD, PeriodicTask("@daily", Task("worse"), queue=""), too_large, B]
        await manager.sync_once()
        await listed(tools, "b")
        assert [record.levelname for record in caplog.records] == ["ERROR"] * 3
        assert "'@dayly'" in caplog.records[0].message
        assert "b'four'" not in caplog.text
        await manager.sync_once()
        assert len(caplog.records) == 6


async def test_what_goes_by_a_name_goes_on_while_its_change_cannot_be_used(
    redis_url: str, tools: Inspector
) -> None:
    provider = Provider(PeriodicTask("@daily", Task("a"), name="mine"), B)
    async with manager_of(redis_url, provider) as manager:
        before = await listed(tools, "a", "b")
        provider.listed = [PeriodicTask("@dayly", Task("a"), name="mine")]
        await manager.sync_once()
        assert registered(manager) == [before[0].id]
        provider.listed = [PeriodicTask("@hourly", Task("a"), name="mine")]
        await manager.sync_once()
        (changed,) = await eventually(
            tools.scheduler_entries, lambda found: [entry.spec for entry in found] == ["@hourly"]
        )
        assert changed.id != before[0].id


@pytest.mark.parametrize(
    "listed",
    [
        [A, BAD],
        [A, None],
        [PeriodicTask("@daily", "t")],  # type: ignore[arg-type]  # that is the point
        [PeriodicTask("@daily", Task("t"), queue="")],
    ],
)
async def test_the_start_fails_if_a_task_cannot_be_used(
    redis_url: str, redis: Redis, listed: list[PeriodicTask]
) -> None:
    manager = manager_of(redis_url, Provider(*listed))
    with pytest.raises(InvalidOptionError) as refused:
        await manager.start()
    assert refused.value.__notes__
    assert manager.state == "closed"
    await manager.shutdown()
    assert await redis.keys("asynq:scheduler*") == []


@pytest.mark.parametrize("how", ["start", "serve"])
async def test_the_start_fails_with_the_provider(redis_url: str, how: str) -> None:
    provider = Provider()
    provider.listed = OSError("the database is away")
    manager = manager_of(redis_url, provider)
    with pytest.raises(OSError, match="the database is away"):
        await (manager.start() if how == "start" else manager.serve())
    assert manager.state == "closed"


@pytest.mark.parametrize("provider", [None, [A], "tasks.toml"])
def test_a_provider_that_cannot_be_asked_is_refused(provider: Any) -> None:
    with pytest.raises(InvalidOptionError, match="provider"):
        PeriodicTaskManager("redis://nowhere", provider)
    with pytest.raises(InvalidOptionError, match="sync_interval"):
        PeriodicTaskManager("redis://nowhere", Provider(), sync_interval=0)


# -- life ---------------------------------------------------------------------------------------------------


async def test_serve_works_until_it_is_told_to_end_and_ending_twice_is_harmless(
    redis_url: str, redis: Redis, tools: Inspector
) -> None:
    manager = manager_of(redis_url, Provider(A), handle_signals=False)
    serving = asyncio.create_task(manager.serve())
    await listed(tools, "a")
    await asyncio.gather(manager.shutdown(), manager.shutdown())
    await serving
    await manager.aclose()
    assert manager.state == "closed"
    assert await redis.keys("asynq:scheduler*") == []


async def test_a_manager_is_started_once(redis_url: str) -> None:
    provider = Provider(A)
    async with manager_of(redis_url, provider) as manager:
        provider.asked.clear()
        with pytest.raises(ServerStateError):
            await manager.start()
    with pytest.raises(ServerStateError):
        await manager.serve()
    assert not provider.asked.is_set()
    never = manager_of(redis_url, provider)
    await never.shutdown()
    with pytest.raises(ServerStateError):
        await never.start()


async def test_a_provider_that_hangs_holds_up_no_end(redis_url: str) -> None:
    hangs, is_hanging = asyncio.Event(), asyncio.Event()
    count = 0

    async def provider() -> list[PeriodicTask]:
        nonlocal count
        count += 1
        if count > 1:
            is_hanging.set()
            await hangs.wait()
        return [A]

    async with PeriodicTaskManager(redis_url, provider, sync_interval=0.01):
        await is_hanging.wait()


def refused(redis_url: str) -> str:
    parts = urlsplit(redis_url)
    return urlunsplit(parts._replace(netloc=f"nobody:wrong@{parts.netloc}"))


@pytest.mark.parametrize(
    "make", [Scheduler, lambda url: PeriodicTaskManager(url, Provider(A))], ids=["scheduler", "manager"]
)
async def test_what_fails_in_the_background_says_so_at_once(
    make: Callable[[str], Scheduler | PeriodicTaskManager], redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = make(refused(redis_url))
    with pytest.raises(ServerStateError, match="new"):
        await scheduler.wait_closed()
    await scheduler.start()
    async with asyncio.timeout(20):
        with pytest.raises(BrokerError, match="denies access"):
            await scheduler.wait_closed()

    assert scheduler.state == "closed"
    (said,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert said.getMessage().startswith("the scheduler has failed: BrokerError(")
    with pytest.raises(BrokerError, match="denies access"):
        await scheduler.shutdown()


async def test_serve_raises_when_redis_denies_access(redis_url: str) -> None:
    manager = PeriodicTaskManager(refused(redis_url), Provider(A))
    with pytest.raises(BrokerError, match="denies access"):
        await manager.serve()
    assert manager.state == "closed"


# -- from a file --------------------------------------------------------------------------------------------


async def test_a_file_that_is_edited_is_followed_and_one_with_an_error_is_not_used(
    redis_url: str, tools: Inspector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tasks.toml"
    path.write_text('[[tasks]]\nspec = "@daily"\ntype = "a"', "utf-8")
    async with PeriodicTaskManager(
        redis_url, PeriodicTaskFile(path), sync_interval=0.02, heartbeat=0.02
    ) as manager:
        (before,) = await listed(tools, "a")
        path.write_text('[[tasks]]\nspec = "@dayly"\ntype = "a"', "utf-8")
        with pytest.raises(PeriodicTaskFileError):
            await manager.sync_once()
        assert registered(manager) == [before.id]
        path.write_text('[[tasks]]\nspec = "@daily"\ntype = "b"', "utf-8")
        await listed(tools, "b")
