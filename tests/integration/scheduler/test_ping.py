"""Schedulers and managers tell whether Redis is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asynq_py import BrokerUnavailableError, PeriodicTask, PeriodicTaskManager, Scheduler


async def _nothing() -> list[PeriodicTask]:
    return []


@pytest.mark.parametrize("make", [Scheduler, lambda redis: PeriodicTaskManager(redis, _nothing)])
async def test_ping_asks_redis_for_an_answer(redis_url: str, make: Callable[[str], Any]) -> None:
    async with make(redis_url) as alive:
        await alive.ping()

    away = make("redis://127.0.0.1:1/0")
    with pytest.raises(BrokerUnavailableError):
        await away.ping()
    await away.aclose()
