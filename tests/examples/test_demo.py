"""The books of the demo: would they tell if a task were lost?"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from types import ModuleType

import pytest
from redis.asyncio import Redis
from rich.console import Console

from asynq_py import Client, Inspector, Task
from tests.examples.programs import load


@pytest.fixture
def demo(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("ASYNQ_REDIS_URL", redis_url)
    return load("demo.py")


@pytest.fixture
async def inspector(redis_url: str) -> AsyncGenerator[Inspector]:
    async with Inspector(redis_url) as inspector:
        yield inspector


async def test_a_task_that_vanished_is_astray(
    demo: ModuleType, client: Client, inspector: Inspector, redis: Redis
) -> None:
    entries = await demo.hand_in(client, [Task("email:welcome", queue="demo:low")])
    await redis.delete(f"asynq:{{demo:low}}:t:{entries[0].id}")
    await demo.look_up(inspector, entries)

    assert [entry.ending for entry in entries] == ["astray"]
    assert not demo.balances(entries)
    assert demo.verdict(entries).plain.startswith(" ✗ 1 handed in = 0 finished")


async def test_a_task_that_nobody_ran_is_unfinished(
    demo: ModuleType, client: Client, inspector: Inspector
) -> None:
    entries = await demo.hand_in(client, [Task("email:welcome", queue="demo:low")])
    await demo.look_up(inspector, entries)

    assert [entry.ending for entry in entries] == ["unfinished"]
    assert not demo.balances(entries)
    assert not demo.is_over(entries)


async def test_a_task_that_was_refused_and_stored_all_the_same_is_astray(
    demo: ModuleType, client: Client, inspector: Inspector
) -> None:
    entries = await demo.hand_in(client, [Task("email:welcome", queue="demo:low")])
    entries[0].is_refused = True
    await demo.look_up(inspector, entries)

    assert [entry.ending for entry in entries] == ["astray"]


async def test_the_live_picture_fits_a_terminal_of_80_columns(
    demo: ModuleType, client: Client, inspector: Inspector
) -> None:
    entries = await demo.hand_in(client, demo.make_load("run"))
    await demo.look_up(inspector, entries)
    console = Console(width=200, force_terminal=True, color_system=None)
    news = demo.changes(entries, {})

    with console.capture() as captured:
        console.print(demo.view(entries, news, 1.0))

    lines = captured.get().splitlines()
    assert max(len(line.rstrip()) for line in lines) < 80
    bars = [line.count("━") for line in lines if re.search(r"demo:\w+ ", line)]
    assert bars == [demo.BAR] * 3
