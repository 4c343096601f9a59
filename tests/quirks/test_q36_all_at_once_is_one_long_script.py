"""Q-36: run, archive and delete of all tasks were one script each, which blocked Redis."""

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector
from asynq_py.wire import limits
from tests.state import NOW, kept, seed, state


@pytest.mark.parametrize("verb", ["run", "archive", "delete"])
async def test_q36_what_concerns_all_tasks_goes_in_small_steps(
    inspector: Inspector, redis: Redis, one_server: str, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(limits, "INSPECT_BATCH", 10)
    await seed(redis, state(scheduled=[kept(f"{n:03}", NOW) for n in range(300)], registered=True))
    await redis.config_resetstat()

    match verb:
        case "run":
            count = await inspector.run_all_scheduled("q")
        case "archive":
            count = await inspector.archive_all_scheduled("q")
        case _:
            count = await inspector.delete_all_scheduled("q")

    calls = await redis.info("commandstats")
    scripts = sum(calls.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))
    assert count == 300
    assert scripts >= 30
