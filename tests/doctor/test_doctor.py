"""Doctor against real servers, each set up wrong in one respect."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from asynq_py import BrokerUnavailableError, InvalidOptionError
from asynq_py.doctor import Doctor, Finding, Level, Role
from asynq_py.doctor.rights import NEEDS
from tests.clock import ManualClock
from tests.doctor.test_damages import CASES, changed, healthy
from tests.integration.test_acl import GUIDE, As, as_user, rules
from tests.servers import each_server
from tests.state import NOW, dump, seed
from tests.topologies import clustered, program

__all__ = ["as_user"]  # a fixture


async def found(url: str, check: str, **settings: Any) -> Finding:
    async with Doctor(url, **settings) as doctor:
        findings = [one for one in (await doctor.examine()).findings if one.check == check]
    assert len({one.level for one in findings}) == 1
    return findings[0]


@asynccontextmanager
async def configured(redis: Redis, settings: Mapping[str, str]) -> AsyncGenerator[None]:
    """Change the configuration of all servers for a while."""
    async with each_server(redis) as servers:
        before: list[dict[str, Any]] = [
            {name: (await one.config_get(name))[name] for name in settings} for one in servers
        ]
        for one in servers:
            for name, value in settings.items():
                await one.config_set(name, value)
        try:
            yield
        finally:
            for one, old in zip(servers, before, strict=True):
                for name, former in old.items():
                    await one.config_set(name, former)


@pytest.mark.parametrize(
    ("settings", "check", "level"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, "eviction", Level.ERROR),
        ({"maxmemory-policy": "volatile-lru"}, "eviction", Level.WARNING),
        ({"maxmemory-policy": "noeviction"}, "eviction", Level.OK),
        ({"save": "3600 1"}, "persistence", Level.WARNING),
        ({"save": ""}, "persistence", Level.WARNING),
    ],
)
async def test_a_setting_that_endangers_tasks_is_found(
    redis: Redis, redis_url: str, settings: Mapping[str, str], check: str, level: Level
) -> None:
    async with configured(redis, settings):
        assert (await found(redis_url, check)).level is level


async def test_every_check_says_something_on_every_kind_of_server(redis_url: str) -> None:
    async with Doctor(redis_url) as doctor:
        examination = await doctor.examine()
    assert list(dict.fromkeys(finding.check for finding in examination.findings)) == [
        "version", "role", "eviction", "memory", "persistence", "replicas", "clock", "rights", "cluster",
        "latency", "ghosts", "strays", "states", "leases", "lost tasks", "locks", "groups", "queues",
        "servers",
    ]  # fmt: skip
    assert Level.ERROR not in {finding.level for finding in examination.findings}
    assert Level.SKIPPED not in {finding.level for finding in examination.findings}
    assert examination.level is Level.WARNING  # nothing of these servers is on a disk


async def test_a_replica_is_told_to_be_one(redis: Redis, one_server: str) -> None:
    await cast(Any, redis).replicaof("127.0.0.1", "1")
    try:
        assert (await found(one_server, "role")).level is Level.ERROR
    finally:
        await cast(Any, redis).replicaof("NO", "ONE")


async def test_a_clock_that_is_wrong_is_found(redis_url: str) -> None:
    assert (await found(redis_url, "clock", clock=ManualClock())).level is Level.ERROR
    assert (await found(redis_url, "clock")).level is Level.OK


class Slow(ManualClock):
    """Each look at it takes as long as a slow answer of Redis."""

    def monotonic(self) -> float:
        self.now += 0.2
        return self.now


async def test_slow_scripts_are_found(redis_url: str) -> None:
    assert (await found(redis_url, "latency", clock=Slow())).level is Level.WARNING
    assert (await found(redis_url, "latency", clock=ManualClock())).level is Level.OK


@pytest.mark.skipif(program() is None, reason="nothing that a Cluster could be made of")
async def test_a_cluster_that_lost_a_master_is_found() -> None:
    with clustered() as nodes:
        assert (await found(nodes.url, "cluster")).level is Level.OK
        for node in nodes.masters():
            node.call("CLUSTER", "DELSLOTS", 1)
        assert (await found(nodes.url, "cluster")).level is Level.ERROR


# -- rights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_the_rights_of_a_role_are_those_of_the_guide(role: Role) -> None:
    """What only Sentinel or a Cluster asks for is not missed."""
    granted = {rule[1:] for rule in rules(f"asynq-{role}") if rule.startswith("+")}
    assert granted - {"role", "cluster|slots", "asking", "cluster|info"} == set(NEEDS[role])


@pytest.mark.parametrize("role", Role)
async def test_a_user_with_the_rights_of_the_guide_lacks_none(redis: Redis, as_user: As, role: Role) -> None:
    url = await as_user(f"asynq-{role}")
    await _grant(redis, f"asynq-{role}", "+acl|whoami", "+acl|dryrun", "+smembers", "+exists", "+info")
    finding = await found(url, "rights", role=role)
    assert (finding.level, f"asynq-{role}" in finding.what) == (Level.OK, True)


async def test_a_right_that_is_missing_is_named(redis: Redis, as_user: As) -> None:
    url = await as_user("asynq-worker")
    await _grant(redis, "asynq-worker", "+acl|whoami", "+acl|dryrun", "-blmove", "-zadd")
    finding = await found(url, "rights")
    assert finding.level is Level.WARNING
    assert finding.what.endswith(": +blmove +zadd")


async def test_a_channel_that_is_missing_is_named(redis: Redis, as_user: As) -> None:
    url = await as_user("asynq-worker")
    await _grant(redis, "asynq-worker", "+acl|whoami", "+acl|dryrun", "resetchannels")
    assert (await found(url, "rights")).what.endswith(": +subscribe")


async def test_what_a_user_may_not_ask_is_skipped_with_the_reason(as_user: As, redis: Redis) -> None:
    await redis.sadd("asynq:queues", "q")
    async with Doctor(await as_user("asynq-viewer"), role="viewer") as doctor:
        examination = await doctor.examine()

    skipped = {one.check for one in examination.findings if one.level is Level.SKIPPED}
    assert skipped == {"clock", "rights", "lost tasks", "locks", "groups", "queues"}
    reasons = [one.advice for one in examination.findings if one.level is Level.SKIPPED]
    assert [reason for reason in reasons if "denies access" not in reason] == []
    assert examination.level is Level.WARNING


async def test_a_user_that_may_hardly_anything_gets_its_findings_all_the_same(as_user: As) -> None:
    async with Doctor(await as_user("asynq-client"), role="client") as doctor:
        examination = await doctor.examine()
    assert {one.level for one in examination.findings if one.check != "cluster"} == {Level.SKIPPED}
    assert examination.damages == []


async def _grant(redis: Redis, user: str, *rules: str) -> None:
    async with each_server(redis) as servers:
        for server in servers:
            await cast(Any, server).execute_command("ACL", "SETUSER", user, *rules)


def more_rights() -> tuple[list[str], list[str]]:
    """What docs/guide/doctor.md adds to the rights of a viewer, to look; and of an inspector, to repair."""
    page = (GUIDE.parent / "doctor.md").read_text("utf-8").partition("## Rights")[2]
    looking, mending = re.findall(r"`(\+[^`]+)`", page)
    return looking.split(), mending.split()


async def test_with_the_rights_of_the_guide_nothing_is_skipped(as_user: As, redis: Redis) -> None:
    await seed(redis, changed(healthy(), {"asynq:{q}:g:h": {"g3": NOW}}))
    url = await as_user("asynq-viewer")
    await _grant(redis, "asynq-viewer", *more_rights()[0])
    async with Doctor(url, role="viewer", clock=ManualClock(NOW)) as doctor:
        findings = (await doctor.examine()).findings
    assert [one for one in findings if one.level is Level.SKIPPED] == []


@pytest.mark.parametrize("name", CASES)
async def test_with_the_rights_of_the_guide_all_is_mended(as_user: As, redis: Redis, name: str) -> None:
    await seed(redis, before := changed(healthy(), CASES[name].broken))
    url = await as_user("asynq-inspector")
    looking, mending = more_rights()
    await _grant(redis, "asynq-inspector", *looking, *mending)
    async with Doctor(url, role="inspector", clock=ManualClock(NOW)) as doctor:
        examination = await doctor.examine()
        assert await doctor.repair(examination.damages) == examination.repairs
    assert await dump(redis) == changed(before, CASES[name].mended)


# -- the rest ----------------------------------------------------------------------------------------------


async def test_redis_being_away_is_an_error_of_its_own() -> None:
    async with Doctor("redis://127.0.0.1:1/0") as doctor:
        with pytest.raises(BrokerUnavailableError):
            await doctor.examine()


@pytest.mark.parametrize("wrong", [{"sample": 0}, {"sample": True}, {"sample": 10**9}, {"role": "chef"}])
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError, match=next(iter(wrong))):
        Doctor(**wrong)
