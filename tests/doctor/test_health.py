"""Is Redis there, and does the worker of this host live?"""

from __future__ import annotations

import os
from typing import cast

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, InvalidOptionError, Server
from asynq_py.doctor import Health, Role, look
from asynq_py.process import host_name
from tests.eventually import eventually
from tests.integration.test_acl import As, as_user

__all__ = ["as_user"]  # a fixture

DEAD = "redis://127.0.0.1:1/0"


async def handler(task: ActiveTask) -> None:
    raise AssertionError("no task here")


async def test_redis_that_answers_is_healthy(redis_url: str) -> None:
    assert await look(redis_url) == Health(True, True, None, "Redis answers")


async def test_redis_that_is_away_is_not(redis_url: str) -> None:
    health = await look(DEAD, worker=True)
    assert (health.is_healthy, health.redis, health.worker) == (False, False, None)
    assert "not reachable" in health.why


async def test_nothing_is_held_against_a_worker_while_redis_is_away() -> None:
    health = await look(DEAD, worker=True, needs_redis=False)
    assert (health.is_healthy, health.redis, health.worker) == (True, False, None)


async def test_a_worker_of_this_host_counts_and_no_other(redis: Redis, redis_url: str) -> None:
    assert (await look(redis_url, worker=True)).is_healthy is False
    async with Server(redis_url, handler):

        async def is_alive() -> bool:
            return (await look(redis_url, worker=True)).is_healthy

        await eventually(is_alive)
        mine = await look(redis_url, worker=True, pid=os.getpid())
        assert mine.why == f"the server {host_name()}:{os.getpid()} is active"
        other = await look(redis_url, worker=True, pid=os.getpid() + 1)
        assert (other.is_healthy, other.redis, other.worker) == (False, True, False)
        assert other.why == f"no server of {host_name()}:{os.getpid() + 1} gives a sign of life"
        assert (await look(redis_url, worker=True, host="elsewhere")).is_healthy is False
    assert (await look(redis_url, worker=True, needs_redis=False)).is_healthy is False


async def test_a_worker_that_gave_no_sign_of_life_in_time_is_dead(redis: Redis, redis_url: str) -> None:
    async with Server(redis_url, handler):

        async def is_alive() -> bool:
            return (await look(redis_url, worker=True)).is_healthy

        await eventually(is_alive)
        (name,) = cast(list[bytes], await redis.zrange("asynq:servers", 0, -1))
        await redis.zadd("asynq:servers", {name: 1})  # its last sign of life is long ago
        assert (await look(redis_url, worker=True)).worker is False


async def test_the_rights_of_a_worker_suffice(as_user: As, redis_url: str) -> None:
    url = await as_user("asynq-worker")
    async with Server(url, handler):

        async def is_alive() -> bool:
            return (await look(url, worker=True)).is_healthy

        await eventually(is_alive)


@pytest.mark.parametrize("role", Role)
async def test_any_rights_suffice_to_ask_for_redis_alone(as_user: As, role: Role) -> None:
    assert (await look(await as_user(f"asynq-{role}"))).is_healthy


async def test_a_user_without_the_rights_is_told_so(as_user: As) -> None:
    health = await look(await as_user("asynq-client"), worker=True)
    assert (health.is_healthy, health.redis, health.worker) == (False, True, None)
    assert "denies access" in health.why


async def test_no_answer_in_time_is_none(redis_url: str) -> None:
    health = await look(redis_url, timeout=1e-9)
    assert (health.is_healthy, health.redis) == (False, False)
    assert "no answer within" in health.why


async def test_a_url_that_cannot_be_is_no_matter_of_health() -> None:
    with pytest.raises(InvalidOptionError):
        await look("http://localhost")
