"""`asynq-py doctor`."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from tests.cli.program import Program
from tests.state import dump, kept, seed, state

GHOSTS = {"asynq:{q}:scheduled": {"gone": 1.0, "away": 2.0}, "asynq:queues": {"q"}}


async def test_doctor_tells_findings_and_exits_with_the_worst(run: Program, redis: Redis) -> None:
    answer = await run("doctor", code=1)

    lines = {line.split()[1]: line.split()[0] for line in answer.lines[2:] if line.split()}
    assert (lines["version"], lines["role"], lines["persistence"], lines["ghosts"]) == (
        "ok", "ok", "warning", "ok",
    )  # fmt: skip
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        answer = await run("doctor", "--json", code=2)
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")
    assert answer.json["level"] == "error"
    (eviction,) = (found for found in answer.json["findings"] if found["check"] == "eviction")
    assert eviction.keys() == {"check", "level", "what", "advice"}
    assert eviction["level"] == "error"


async def test_repair_tells_what_it_would_do_and_does_it_after_a_yes_only(run: Program, redis: Redis) -> None:
    healthy = state(pending=[kept("a")], registered=True)
    await seed(redis, before := healthy | GHOSTS)
    plan = "2 IDs without a task dropped in q"

    dry = await run("doctor", "--repair", "--dry-run", code=1)
    assert f"would do: {plan}" in dry.lines
    assert await dump(redis) == before

    alone = await run("doctor", "--repair", code=2)
    assert f"would do: {plan}" in alone.lines
    assert alone.err == (
        f"asynq-py: Do this: {plan}? Nobody is here to answer: say --yes, or look with --dry-run\n"
    )
    refused = await run.on_terminal("doctor", "--repair", typed="n\n")
    assert refused.code == 1
    assert await dump(redis) == before

    done = await run("doctor", "--repair", "--yes", code=1)
    assert f"done: {plan}" in done.lines
    assert await dump(redis) == healthy


async def test_repair_says_so_where_there_is_nothing_to_do(run: Program, redis: Redis) -> None:
    await seed(redis, before := state(pending=[kept("a")], registered=True))
    assert "there is nothing to repair" in (await run("doctor", "--repair", "--yes", code=1)).lines
    assert await dump(redis) == before


async def test_repair_in_json_tells_plan_and_deeds(run: Program, redis: Redis) -> None:
    await seed(redis, GHOSTS)
    step = {"check": "ghosts", "queue": "q", "count": 2, "what": "IDs without a task dropped"}

    told = (await run("doctor", "--json", code=1)).json
    assert (told["planned"], told["repaired"]) == ([step], [])
    done = (await run("doctor", "--json", "--repair", "--yes", code=1)).json
    assert (done["planned"], done["repaired"]) == ([step], [step])
    (ghosts,) = (found for found in done["findings"] if found["check"] == "ghosts")
    assert ghosts["level"] == "ok"


async def test_a_redis_that_is_away_is_one_line(bare: Program) -> None:
    line = await bare.fails("doctor", "--redis", "redis://127.0.0.1:1/0", code=3)
    assert "not reachable" in line


@pytest.mark.parametrize("role", ["viewer", "VIEWER"])
async def test_roles_may_be_written_as_all_that_is_chosen_from(bare: Program, role: str) -> None:
    await bare.fails("doctor", "--as", role, "--redis", "redis://127.0.0.1:1/0", code=3)
