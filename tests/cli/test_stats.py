"""`asynq-py stats`."""

from __future__ import annotations

import asyncio
import json
import signal

from redis.asyncio import Redis

from asynq_py import Client, Inspector, Server, Task
from asynq_py.cli.states import AT_ONCE, queue_infos
from tests.cli.program import Program
from tests.proxy import Proxy


async def test_stats_sums_up_all_queues(
    run: Program, filled: Server, client: Client, server_kind: str
) -> None:
    await client.enqueue(Task("t"), queue="other")

    stats = (await run("stats", "--json")).json

    assert stats["total"] == {
        "size": 8, "active": 1, "pending": 2, "aggregating": 1, "scheduled": 1, "retry": 1, "archived": 1,
        "completed": 1, "processed": 3, "failed": 2,
    }  # fmt: skip
    assert [info["queue"] for info in stats["queues"]] == ["default", "other"]
    assert ("cluster_state" if server_kind == "cluster" else "redis_version") in stats["redis"]


async def test_stats_shows_states_queues_today_and_redis(
    run: Program, filled: Server, client: Client
) -> None:
    await client.enqueue(Task("t"), queue="other")
    await run("queue", "pause", "other")

    tables = (await run("stats")).out.split("\n\n")

    states, queues, today, redis = (table.splitlines() for table in tables)
    assert states[-1].split() == ["1", "2", "1", "1", "1", "1", "1"]
    assert [line.split()[:2] for line in queues[3:]] == [["default", "7"], ["other", "(paused)"]]
    assert today[-1].split() == ["3", "2", "66.67%"]
    assert redis[0].strip() in ("Redis", "Redis Cluster", "Valkey, which is as Redis")


async def test_a_terminal_of_80_columns_will_do(run: Program, filled: Server) -> None:
    for command in (("stats",), ("queue", "ls")):
        shown = (await run.on_terminal(*command, NO_COLOR="1", COLUMNS="80")).out
        assert "default" in shown
        if "slot" not in shown:  # of a Cluster
            assert {len(line.rstrip()) <= 80 for line in shown.splitlines()} == {True}
            assert sum("default" in line for line in shown.splitlines()) == 1


async def test_watch_goes_on_until_it_is_interrupted(run: Program, client: Client, redis: Redis) -> None:
    async with run.running("stats", "--watch", "--interval", "0.1", "--json") as process:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert json.loads(await process.stdout.readline())["total"]["size"] == 0
            await client.enqueue(Task("t"))
            while json.loads(await process.stdout.readline())["total"]["size"] != 1:
                pass
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
        assert process.stderr is not None
        assert (await process.stderr.read()).strip() == b""


async def test_watch_waits_out_an_outage(run: Program, proxy: Proxy) -> None:
    arguments = ("stats", "--watch", "--interval", "0.1", "--json", "--redis", proxy.url)
    async with run.running(*arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(30):
            assert "total" in json.loads(await process.stdout.readline())
            proxy.is_refusing = True
            proxy.cut_all()
            assert b"asynq-py: Redis at" in await process.stderr.readline()
            proxy.is_refusing = False
            assert "total" in json.loads(await process.stdout.readline())


async def test_queues_that_are_deleted_meanwhile_are_left_out(redis_url: str, client: Client) -> None:
    for name in ("a", "b"):
        await client.enqueue(Task("t"), queue=name)

    class Late(Inspector):
        async def queues(self) -> list[str]:
            return [*await super().queues(), *(f"gone-{at}" for at in range(AT_ONCE))]

    async with Late(redis_url) as inspector:
        assert [info.queue for info in await queue_infos(inspector)] == ["a", "b"]
