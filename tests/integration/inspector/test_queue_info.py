from datetime import UTC, date, datetime

import pytest
from redis.asyncio import Redis

from asynq_py import DailyStats, GroupInfo, Inspector, InvalidOptionError, QueueInfo, QueueNotFoundError
from asynq_py.wire import limits
from tests.state import NOW, NOW_NS, dump, kept, lease, seed, state

FULL = state(
    pending=[kept("a", fields={"pending_since": NOW_NS - 2_500_000_000}), kept("b")],
    active=[kept("c", lease(7))],
    scheduled=[kept("d", NOW), kept("e", NOW), kept("f", NOW)],
    retry=[kept("g", NOW)],
    archived=[kept("h", NOW)],
    completed=[kept("i", NOW)],
    groups={"x": [kept("j", NOW), kept("k", NOW)], "y": [kept("l", NOW)]},
    processed=9,
    failed=4,
    registered=True,
)


async def test_a_queue_is_told_in_numbers(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, {**FULL, "asynq:{q}:processed": str(2**62 + 1), "asynq:{q}:paused": "1"})

    info = await inspector.queue_info("q")

    assert info == QueueInfo(
        queue="q", memory_usage=info.memory_usage, latency=2.5, size=12, groups=2, pending=2, active=1,
        scheduled=3, retry=1, archived=1, completed=1, aggregating=3, processed=9, failed=4,
        processed_total=2**62 + 1, failed_total=4, is_paused=True, looked_at=datetime.fromtimestamp(NOW, UTC),
    )  # fmt: skip


async def test_looking_changes_nothing(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, FULL)
    await inspector.queue_info("q")
    await inspector.groups("q")
    await inspector.history("q", 3)

    assert await dump(redis) == FULL


async def test_the_memory_is_that_of_all_tasks_though_some_are_weighed(
    inspector: Inspector, redis: Redis
) -> None:
    await seed(redis, state(archived=[kept(f"{n:03}", NOW, payload=bytes(1000)) for n in range(100)]))
    one = await redis.memory_usage("asynq:{q}:t:000") or 0
    index = await redis.memory_usage("asynq:{q}:archived") or 0

    assert (await inspector.queue_info("q")).memory_usage == pytest.approx(100 * one + index, rel=0.02)


async def test_tasks_in_groups_weigh_as_well(inspector: Inspector, redis: Redis) -> None:
    groups = {str(n): [kept(f"{n}-{i}", NOW, payload=bytes(1000)) for i in range(3)] for n in range(10)}
    await seed(redis, state(groups=groups))
    one = await redis.memory_usage("asynq:{q}:t:0-0") or 0

    assert (await inspector.queue_info("q")).memory_usage == pytest.approx(30 * one, rel=0.02)


async def test_a_lost_task_and_an_empty_queue_break_no_number(inspector: Inspector, redis: Redis) -> None:
    await redis.sadd("asynq:queues", "q")
    assert (await inspector.queue_info("q")).memory_usage == 0
    await redis.lpush("asynq:{q}:pending", "ghost")

    info = await inspector.queue_info("q")

    assert (info.pending, info.latency) == (1, 0.0)


async def test_groups_are_told_with_their_sizes(
    inspector: Inspector, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_BATCH", 2)
    await seed(redis, state(groups={f"{n:03}": [kept(f"t{n}", NOW)] for n in range(300)}))

    assert await inspector.groups("q") == [GroupInfo(group=f"{n:03}", size=1) for n in range(300)]


async def test_history_goes_back_day_by_day(inspector: Inspector, redis: Redis) -> None:
    await seed(redis, state(processed=9, failed=4, registered=True))
    await redis.set("asynq:{q}:processed:2099-12-31", "7")

    days = await inspector.history("q", 3)

    today = datetime.fromtimestamp(NOW, UTC).date()
    assert days[0] == DailyStats(queue="q", date=today, processed=9, failed=4)
    assert [(day.date, day.processed) for day in days] == [
        (today, 9),
        (date.fromordinal(today.toordinal() - 1), 7 if today == date(2100, 1, 1) else 0),
        (date.fromordinal(today.toordinal() - 2), 7 if today == date(2100, 1, 2) else 0),
    ]


@pytest.mark.parametrize("days", [0, -1, 367, True])
async def test_a_history_has_days(inspector: Inspector, days: int) -> None:
    with pytest.raises(InvalidOptionError, match="days"):
        await inspector.history("q", days)


async def test_a_queue_that_is_not_there_is_told(inspector: Inspector) -> None:
    with pytest.raises(QueueNotFoundError):
        await inspector.queue_info("q")
    with pytest.raises(QueueNotFoundError):
        await inspector.history("q", 1)
    with pytest.raises(QueueNotFoundError):
        await inspector.groups("q")
