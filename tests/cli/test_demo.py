"""The demo: its books, which would tell if a task were lost, and its picture."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from rich.console import Console

from asynq_py import Client, Inspector, Task
from asynq_py.cli.demo import books, load, view
from tests.cli.program import Program

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
async def inspector(redis_url: str) -> AsyncGenerator[Inspector]:
    async with Inspector(redis_url) as inspector:
        yield inspector


async def test_a_task_that_vanished_is_astray(client: Client, inspector: Inspector, redis: Redis) -> None:
    entries = await books.hand_in(client, [Task("email:welcome", queue="demo:low")])
    await redis.delete(f"asynq:{{demo:low}}:t:{entries[0].id}")
    await books.look_up(inspector, entries)

    assert [entry.ending for entry in entries] == ["astray"]
    assert not books.balances(entries)
    assert books.verdict(entries).plain.startswith(" ✗ 1 handed in = 0 finished")


async def test_a_task_that_nobody_ran_is_unfinished(client: Client, inspector: Inspector) -> None:
    entries = await books.hand_in(client, [Task("email:welcome", queue="demo:low")])
    await books.look_up(inspector, entries)

    assert [entry.ending for entry in entries] == ["unfinished"]
    assert not books.balances(entries)
    assert not books.is_over(entries)


async def test_a_task_that_was_refused_and_stored_all_the_same_is_astray(
    client: Client, inspector: Inspector
) -> None:
    entries = await books.hand_in(client, [Task("email:welcome", queue="demo:low")])
    entries[0].is_refused = True
    await books.look_up(inspector, entries)

    assert [entry.ending for entry in entries] == ["astray"]


async def test_the_live_picture_fits_a_terminal_of_80_columns(client: Client, inspector: Inspector) -> None:
    entries = await books.hand_in(client, load.make_load("run"))
    await books.look_up(inspector, entries)
    console = Console(width=200, force_terminal=True, color_system=None)
    news = view.changes(entries, {})

    with console.capture() as captured:
        console.print(view.view(entries, news, 1.0))

    lines = captured.get().splitlines()
    assert max(len(line.rstrip()) for line in lines) < 80
    bars = [line.count("━") for line in lines if re.search(r"demo:\w+ ", line)]
    assert bars == [view.BAR] * 3


async def test_the_demo_accounts_for_every_task_as_the_readme_shows(bare: Program, redis_url: str) -> None:
    answer = await bare("demo", "--redis", redis_url, COLUMNS="80")

    lines = answer.lines
    all_tasks = next(line.split() for line in lines if line.split()[:1] == ["all"])
    assert all_tasks == ["all", "301", "297", "3", "1", "19", "13"]
    assert lines[-1] == " ✓ 301 handed in = 297 finished + 3 archived + 1 refused; none is missing"
    (title,) = (at for at, line in enumerate(lines) if "The books, as Redis keeps them" in line)
    shown = [line.rstrip() for line in lines[title + 1 :]]
    assert "```text\n" + "\n".join(shown).strip("\n") + "\n```" in README.read_text("utf-8")
    assert "video:encode archived: CancelledError: canceled" in lines
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in answer.out  # no colours and no cursor movements where there is no terminal


async def test_the_demo_needs_no_redis(bare: Program) -> None:
    answer = await bare("demo")
    assert answer.lines[-1].startswith(" ✓ 301 handed in")
