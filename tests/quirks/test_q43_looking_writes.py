"""Q-43: to list servers and schedulers was to remove dead ones, which a replica refuses."""

from redis.asyncio import Redis

from asynq_py import Inspector
from tests.state import NOW, State, dump, seed

DEAD: State = {name: {f"{name}:{{h:1:dead}}": NOW - 60} for name in (
    "asynq:servers", "asynq:workers", "asynq:schedulers"
)}  # fmt: skip


async def test_q43_looking_at_servers_and_schedulers_changes_nothing(
    inspector: Inspector, redis: Redis
) -> None:
    await seed(redis, DEAD)

    assert await inspector.servers() == []
    assert await inspector.scheduler_entries() == []

    assert await dump(redis) == DEAD
