"""Q-11: what the archive forgot when an inspector archived kept its hash, and so its ID, for ever."""

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector
from asynq_py.wire import limits
from tests.state import NOW, dump, kept, seed, state

LOCK = "asynq:{q}:unique:t:"
OLD = kept("old", NOW - 1, fields={"unique_key": LOCK})


@pytest.mark.parametrize("how", ["one", "all"])
async def test_q11_what_the_archive_forgets_leaves_no_hash_and_no_lock(
    inspector: Inspector, redis: Redis, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_SIZE", 1)
    await seed(redis, state(scheduled=[kept("a", NOW + 60)], archived=[OLD], locks={LOCK: "old"}))

    if how == "one":
        await inspector.archive_task("q", "a")
    else:
        await inspector.archive_all_scheduled("q")

    assert await dump(redis) == state(archived=[kept("a", NOW)])
