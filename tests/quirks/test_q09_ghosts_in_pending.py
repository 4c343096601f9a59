"""Q-09: forwarding an ID whose hash was lost made half a hash and a ghost in pending."""

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from tests.state import NOW, NOW_NS, dump, kept, seed, state


@pytest.mark.parametrize("source", ["scheduled", "retry"])
async def test_q09_a_lost_task_is_dropped_when_forwarded(broker: Broker, redis: Redis, source: str) -> None:
    before = state(scheduled=[kept("a", NOW)])
    before.setdefault(f"asynq:{{q}}:{source}", {})["ghost"] = NOW - 5
    await seed(redis, before)

    await broker.forward("q")

    assert await dump(redis) == state(pending=[kept("a", fields={"pending_since": NOW_NS})])
