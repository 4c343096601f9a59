"""What Redis itself does here: redis-benchmark, where it is installed."""

from __future__ import annotations

import csv
import shutil
import subprocess

import redis


def yardstick(server: redis.Redis) -> dict[str, float]:
    """Commands a second; empty where redis-benchmark is missing."""
    if shutil.which("redis-benchmark") is None:
        return {}
    sha = str(server.script_load("return 1"))
    return {
        "PING, 1 client": _ask(server, 1, 5_000, "PING"),
        "PING, 50 clients": _ask(server, 50, 50_000, "PING"),
        "EVALSHA, 50 clients": _ask(server, 50, 25_000, "EVALSHA", sha, "0"),
    }


def _ask(server: redis.Redis, clients: int, requests: int, *command: str) -> float:
    port = server.connection_pool.connection_kwargs["port"]
    done = subprocess.run(
        ["redis-benchmark", "-p", str(port), "-c", str(clients), "-n", str(requests), "--csv", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return float(list(csv.reader(done.stdout.splitlines()))[-1][1])
