"""What is thought of what a server says of itself."""

from __future__ import annotations

import pytest

from asynq_py.doctor.finding import Level
from asynq_py.doctor.server_checks import INFO_CHECKS, Told, clock, cluster, latency

OK, WARNING, ERROR, SKIPPED = Level.OK, Level.WARNING, Level.ERROR, Level.SKIPPED
EVERYSEC = {"appendfsync": "everysec", "save": "", "min-replicas-to-write": "0"}
LAGGING = "ip=10.0.0.2,port=6379,state=online,offset=1,lag=31"
LOADING = "ip=10.0.0.2,port=6379,state=wait_bgsave,offset=1,lag=1"
REPLICA = "ip=10.0.0.2,port=6379,state=online,offset=1,lag=1"


@pytest.mark.parametrize(
    ("check", "info", "settings", "expects_failover", "level", "words"),
    [
        ("version", {"redis_version": "7.0.15"}, None, False, OK, "Redis 7.0.15"),
        ("version", {"redis_version": "6.2.0"}, None, False, OK, "Redis 6.2.0"),
        ("version", {"redis_version": "7.2.4", "valkey_version": "9.1.2"}, None, False, OK, "Valkey 9.1.2"),
        ("version", {"redis_version": "10.0.0"}, None, False, OK, "Redis 10.0.0"),
        ("version", {"redis_version": "6.0.16"}, None, False, ERROR, "Redis 6.0.16 is too old"),
        ("version", {}, None, False, SKIPPED, "does not tell"),
        ("role", {"role": "master"}, None, False, OK, "a master"),
        ("role", {"role": "slave", "master_host": "h", "master_port": "1"}, None, False, ERROR, "of h:1"),
        ("role", {}, None, False, SKIPPED, "None"),
        ("eviction", {"maxmemory_policy": "noeviction"}, None, False, OK, "noeviction"),
        ("eviction", {"maxmemory_policy": "allkeys-lru"}, None, False, ERROR, "tasks can be thrown away"),
        ("eviction", {"maxmemory_policy": "volatile-ttl"}, None, False, WARNING, "unique locks"),
        ("eviction", {}, None, False, SKIPPED, "does not tell"),
        ("memory", {"used_memory": "9999999", "maxmemory": "0"}, None, False, OK, "no limit"),
        ("memory", {"used_memory": "900", "maxmemory": "1000"}, None, False, OK, "used"),
        ("memory", {"used_memory": "901", "maxmemory": "1000"}, None, False, WARNING, "used"),
        ("persistence", {"aof_enabled": "1"}, EVERYSEC, False, OK, "every second"),
        ("persistence", {"aof_enabled": "1"}, {"appendfsync": "always"}, False, OK, "each write"),
        ("persistence", {"aof_enabled": "1"}, {"appendfsync": "no"}, False, WARNING, "30 seconds"),
        ("persistence", {"aof_enabled": "1"}, None, False, OK, "withheld"),
        ("persistence", {"aof_enabled": "0"}, {"save": "3600 1"}, False, WARNING, "snapshots only"),
        ("persistence", {"aof_enabled": "0"}, EVERYSEC, False, WARNING, "loses every task"),
        ("persistence", {"aof_enabled": "0"}, None, False, WARNING, "withheld"),
        ("persistence", {"aof_enabled": "1", "aof_last_write_status": "err"}, {}, False, ERROR, "append"),
        ("persistence", {"rdb_last_bgsave_status": "err"}, EVERYSEC, False, ERROR, "snapshot failed"),
        ("replicas", {}, EVERYSEC, False, OK, "none; the queues live and die"),
        ("replicas", {"slave0": REPLICA}, EVERYSEC, False, OK, "1"),
        ("replicas", {}, EVERYSEC, True, WARNING, "nothing can take over"),
        ("replicas", {"slave0": REPLICA}, EVERYSEC, True, WARNING, "may lose tasks"),
        ("replicas", {"slave0": REPLICA}, {"min-replicas-to-write": "1"}, True, OK, "1"),
        ("replicas", {"slave0": REPLICA}, None, True, OK, "1"),
        ("replicas", {"slave0": LOADING}, None, False, WARNING, "10.0.0.2:6379"),
        ("replicas", {"slave0": LAGGING}, None, False, WARNING, "10.0.0.2:6379"),
    ],
)  # fmt: skip
def test_what_a_server_tells_is_judged(
    check: str,
    info: dict[str, str],
    settings: dict[str, str] | None,
    expects_failover: bool,
    level: Level,
    words: str,
) -> None:
    finding = INFO_CHECKS[check](Told(info, settings, expects_failover))
    assert (finding.check, finding.level) == (check, level)
    assert words in finding.what
    assert bool(finding.advice) == (level in (WARNING, ERROR))


@pytest.mark.parametrize(
    ("ours", "its", "uncertain", "level", "words"),
    [
        (100.0, 100.9, 0.0, OK, "0.9 s"),
        (100.0, 102.0, 0.0, WARNING, "2.0 s behind"),
        (102.0, 100.0, 0.0, WARNING, "2.0 s ahead"),
        (102.0, 100.0, 1.5, OK, "0.5 s"),
        (106.0, 100.0, 0.0, ERROR, "6.0 s ahead"),
    ],
)
def test_a_clock_that_is_off_is_told(
    ours: float, its: float, uncertain: float, level: Level, words: str
) -> None:
    finding = clock(ours, its, uncertain)
    assert finding.level is level
    assert words in finding.what


@pytest.mark.parametrize(
    ("script", "trip", "level", "advice"),
    [
        (0.01, 0.001, OK, ""),
        (0.06, 0.001, WARNING, "scripts are slow"),
        (0.06, 0.06, WARNING, "far away"),
        (0.6, 0.001, ERROR, "scripts are slow"),
    ],
)
def test_a_script_that_takes_long_is_told(script: float, trip: float, level: Level, advice: str) -> None:
    finding = latency(script, trip)
    assert finding.level is level
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ({"cluster_state": "ok", "cluster_slots_ok": "16384", "cluster_size": "3"}, OK),
        ({"cluster_state": "fail", "cluster_slots_ok": "16384"}, ERROR),
        ({"cluster_state": "ok", "cluster_slots_ok": "10923"}, ERROR),
        ({"cluster_state": "ok", "cluster_slots_ok": "16384", "cluster_slots_pfail": "9"}, WARNING),
    ],
)
def test_a_cluster_that_is_not_whole_is_told(told: dict[str, str], level: Level) -> None:
    assert cluster(told).level is level
