"""Q-37: looking at a queue cost more the more groups and tasks it had, in one long script."""

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector
from asynq_py.wire import limits
from tests.state import NOW, kept, seed, state


async def test_q37_a_look_at_many_groups_and_tasks_takes_small_steps(
    inspector: Inspector, redis: Redis, one_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INSPECT_BATCH", 5)
    groups = {f"{n:03}": [kept(f"g{n}", NOW)] for n in range(500)}
    await seed(redis, state(scheduled=[kept(f"{n:02}", NOW) for n in range(60)], groups=groups))
    await redis.config_resetstat()

    info = await inspector.queue_info("q")
    listed = await inspector.list_scheduled("q", size=50)

    assert (info.groups, info.aggregating, len(listed)) == (500, 500, 50)
    calls = await redis.info("commandstats")
    assert "cmdstat_smembers" not in calls
    assert calls["cmdstat_memory|usage"]["calls"] <= 2 * 11 * limits.MEMORY_SAMPLE
    assert calls["cmdstat_evalsha"]["calls"] + calls.get("cmdstat_eval", {"calls": 0})["calls"] >= 10
