"""What a server says of itself → findings. Pure: each check takes what was told, says what to think of it.

Reliability F47, F48, F50, F53, F54, F70.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from asynq_py.doctor.finding import Finding, error, ok, skipped, warning
from asynq_py.wire.limits import LEASE_SKEW

OLDEST: Final = (6, 2)
FULL: Final = 0.9  # of maxmemory
LATE: Final = 30.0  # seconds that a replica may lag behind
SKEW: Final = 1.0  # seconds
SLOW: Final = 0.05  # seconds for one script
VERY_SLOW: Final = 0.5
SETTINGS: Final = ("appendfsync", "save", "min-replicas-to-write")


@dataclass(frozen=True, slots=True)
class Told:
    """What a server told. `info`: by the names of INFO. `settings`: those of SETTINGS; None: withheld.
    `expects_failover`: Sentinel or a Cluster may make a replica the master.
    """

    info: Mapping[str, str]
    settings: Mapping[str, str] | None
    expects_failover: bool = False

    def number(self, name: str) -> int:
        text = self.info.get(name, "0")
        return int(text) if text.isdecimal() else 0


Check: TypeAlias = Callable[[Told], Finding]


def version(told: Told) -> Finding:
    number = told.info.get("redis_version", "")
    found = re.match(r"(\d+)\.(\d+)", number)
    if found is None:
        return skipped("version", "the server does not tell its version")
    name = f"Redis {number}"
    if "valkey_version" in told.info:
        name = f"Valkey {told.info['valkey_version']}"
    if (int(found[1]), int(found[2])) < OLDEST:
        return error("version", f"{name} is too old", "update to Redis 6.2 or newer, or Valkey")
    return ok("version", name)


def role(told: Told) -> Finding:
    match told.info.get("role"):
        case "master":
            return ok("role", "a master")
        case "slave":
            master = f"{told.info.get('master_host')}:{told.info.get('master_port')}"
            return error("role", f"a replica of {master}: it refuses writes", "connect to the master")
        case other:
            return skipped("role", f"the server calls itself {other!r}")


def eviction(told: Told) -> Finding:
    policy = told.info.get("maxmemory_policy", "")
    if not policy:
        return skipped("eviction", "the server does not tell its maxmemory-policy")
    advice = "set maxmemory-policy noeviction, and give the queues a Redis of their own"
    if policy.startswith("allkeys"):
        return error("eviction", f"maxmemory-policy {policy}: tasks can be thrown away", advice)
    if policy.startswith("volatile"):
        what = f"maxmemory-policy {policy}: unique locks and signs of life can be thrown away"
        return warning("eviction", what, advice)
    return ok("eviction", f"maxmemory-policy {policy}")


def memory(told: Told) -> Finding:
    used, limit = told.number("used_memory"), told.number("maxmemory")
    if not limit:
        return ok("memory", f"{_mib(used)} used, no limit (maxmemory 0)")
    what = f"{_mib(used)} of {_mib(limit)} used"
    if used > FULL * limit:
        advice = (
            "raise maxmemory, or find what grows (asynq-py stats); when it is full, nothing can be enqueued"
        )
        return warning("memory", what, advice)
    return ok("memory", what)


def persistence(told: Told) -> Finding:
    for name, failing in (
        ("aof_last_write_status", "append-only file"),
        ("rdb_last_bgsave_status", "snapshot"),
    ):
        if told.info.get(name, "ok") != "ok":
            advice = "look at the disk and at the server's log; Redis may refuse writes"
            return error("persistence", f"the last write of the {failing} failed", advice)
    if told.number("aof_enabled"):
        return _append_only(told.settings)
    if told.settings is None:
        what = "no append-only file; whether there are snapshots is withheld"
        return warning("persistence", what, "set appendonly yes, so that tasks survive a restart")
    if told.settings.get("save"):
        what = "snapshots only: a restart loses what came after the last one"
        return warning("persistence", what, "set appendonly yes: at most two seconds are lost then")
    return warning(
        "persistence", "nothing is written to disk: a restart loses every task", "set appendonly yes"
    )


def _append_only(settings: Mapping[str, str] | None) -> Finding:
    match (settings or {}).get("appendfsync"):
        case "always":
            return ok("persistence", "append-only file, each write synced")
        case "no":
            what = (
                "append-only file, synced when the system likes: a crash of the machine may lose 30 seconds"
            )
            return warning("persistence", what, "set appendfsync everysec")
        case "everysec":
            return ok("persistence", "append-only file, synced every second: a crash may lose two seconds")
        case _:
            return ok("persistence", "append-only file; how often it is synced is withheld")


def replicas(told: Told) -> Finding:
    lines = [value for name, value in told.info.items() if re.fullmatch(r"slave\d+", name)]
    parts = [dict(pair.split("=", 1) for pair in line.split(",") if "=" in pair) for line in lines]
    behind = [
        f"{part.get('ip')}:{part.get('port')}"
        for part in parts
        if part.get("state") != "online" or float(part.get("lag", 0)) > LATE
    ]
    if behind:
        what = f"replicas that are not up to date: {', '.join(behind)}"
        return warning("replicas", what, "look at their logs; a failover to one of them loses tasks")
    count = len(parts)
    if not told.expects_failover:
        return ok("replicas", f"{count}" if count else "none; the queues live and die with this server")
    if not count:
        return warning(
            "replicas", "none, so nothing can take over", "add at least one replica to each master"
        )
    if told.settings is not None and told.settings.get("min-replicas-to-write", "0") == "0":
        what = f"{count}, but the master goes on writing without them: a failover may lose tasks"
        return warning("replicas", what, 'set min-replicas-to-write 1, or give clients durability="replica"')
    return ok("replicas", f"{count}")


INFO_CHECKS: Final[Mapping[str, Check]] = {
    "version": version, "role": role, "eviction": eviction, "memory": memory, "persistence": persistence,
    "replicas": replicas,
}  # fmt: skip


def clock(ours: float, its: float, uncertain: float) -> Finding:
    """`ours`, `its`: unix seconds, asked at about the same time. `uncertain`: seconds that it took."""
    skew = max(0.0, abs(ours - its) - uncertain)
    if skew <= SKEW:
        return ok("clock", f"this machine and Redis differ by {skew:.1f} s at most")
    what = f"the clock of this machine is {skew:.1f} s {'ahead of' if ours > its else 'behind'} that of Redis"
    advice = "synchronise the clocks of all machines (NTP): leases and times of tasks rely on them"
    return (error if skew > LEASE_SKEW else warning)("clock", what, advice)


def cluster(told: Mapping[str, str]) -> Finding:
    """`told`: by the names of CLUSTER INFO."""
    state, slots = told.get("cluster_state"), told.get("cluster_slots_ok", "0")
    if state != "ok" or slots != "16384":
        what = f"the Cluster says {state}; {slots} of 16384 slots are in order"
        return error("cluster", what, "look at CLUSTER NODES: a master without a replica is down, perhaps")
    if told.get("cluster_slots_pfail", "0") != "0":
        return warning("cluster", "a node may be failing", "look at CLUSTER NODES")
    return ok("cluster", f"in order, {told.get('cluster_size')} masters")


def latency(script: float, trip: float) -> Finding:
    """`script`: seconds that one took there and back, of several the median. `trip`: the same for a PING."""
    what = f"a script takes {1000 * script:.1f} ms, a PING {1000 * trip:.1f} ms"
    if script <= SLOW:
        return ok("latency", what)
    if trip > SLOW:
        advice = "Redis is far away or busy: see SLOWLOG GET and INFO commandstats"
    else:
        advice = "scripts are slow: see SLOWLOG GET, and whether the machine swaps"
    return (error if script > VERY_SLOW else warning)("latency", what, advice)


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"
