"""Time passes for leases: what a test of recovery would otherwise wait a minute and more for.

A lease lasts 30 s, and both recoverers leave it alone for up to 30 s more, as clocks differ. Go's looks once
a minute, but also when its server starts. So a lease is rewritten here as if it had been given long ago, its
fraction (the token of a Python worker) kept, and the server that shall recover is started afterwards.
"""

from __future__ import annotations

from redis.asyncio import Redis

AGE = 100  # seconds: more than lease and skew together


async def age_lease(redis: Redis, task_id: str, queue: str = "default") -> None:
    lease = f"asynq:{{{queue}}}:lease"
    score = await redis.zscore(lease, task_id)
    assert score is not None, f"{task_id} has no lease"
    await redis.zadd(lease, {task_id: score - AGE}, xx=True)
