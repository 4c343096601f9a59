"""`asynq-py health`."""

from __future__ import annotations

from asynq_py import Server
from tests.cli.program import Program

DEAD = "redis://127.0.0.1:1/0"


async def test_redis_alone(run: Program) -> None:
    assert (await run("health")).out == "Redis answers\n"
    assert (await run("health", "--json")).json == {
        "is_healthy": True, "redis": True, "worker": None, "why": "Redis answers",
    }  # fmt: skip
    assert (await run("health", "--redis", DEAD, code=1)).out.startswith("Redis does not answer: ")


async def test_a_worker_too(run: Program) -> None:
    assert "gives a sign of life" in (await run("health", "--worker", code=1)).out
    assert "gives a sign of life" in (await run("health", "--liveness", code=1)).out


async def test_a_worker_that_lives(run: Program, filled: Server) -> None:
    assert (await run("health", "--worker", "--json")).json["worker"] is True
    assert (await run("health", "--worker", "--pid", "1", "--host", "elsewhere", code=1)).err == ""


async def test_a_redis_that_is_away_is_no_reason_to_kill_a_worker(run: Program) -> None:
    assert (await run("health", "--liveness", "--redis", DEAD)).out.startswith("Redis does not answer: ")
