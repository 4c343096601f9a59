"""Real servers to test against: embedded Valkey, Debian's redis-server, a container, Sentinel, a Cluster."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.asyncio import Redis, RedisCluster
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from asynq_py.embedded import EmbeddedServer
from tests import topologies
from tests.ports import free_ports

KINDS = ("embedded", "redis-server", "docker", "sentinel", "cluster")


def why_absent(kind: str) -> str | None:
    """Why this machine cannot run that kind of server; None if it can."""
    if kind == "redis-server" and shutil.which("redis-server") is None:
        return "no redis-server on this machine (Debian: apt-get install redis-server)"
    if kind == "docker":
        try:
            subprocess.run(["docker", "info"], check=True, capture_output=True, timeout=10)
        except (OSError, subprocess.SubprocessError) as error:
            return f"Docker does not answer ({type(error).__name__})"
    if kind in ("sentinel", "cluster") and topologies.program() is None:
        return "neither redis-server nor the wheel of the embedded server is on this machine"
    return None


def plain_client(url: str, *, decode_responses: bool = False) -> Redis | RedisCluster:
    """A client that is not ours, to seed and to look. Of Sentinel: to the present master."""
    if url.startswith("redis-cluster:"):
        return RedisCluster.from_url(_first(url), decode_responses=decode_responses)
    return Redis.from_url(master_url(url), decode_responses=decode_responses)


def blocking_client(url: str) -> redis.Redis | redis.RedisCluster:
    """The same for plain code."""
    if url.startswith("redis-cluster:"):
        return redis.RedisCluster.from_url(_first(url))
    return redis.Redis.from_url(master_url(url))


def _first(url: str) -> str:
    return f"redis://{urlsplit(url).netloc.partition(',')[0]}"


@asynccontextmanager
async def each_server(client: Redis) -> AsyncGenerator[list[Redis]]:
    """Clients of all servers there are."""
    if not isinstance(client, RedisCluster):
        yield [client]
        return
    await client.initialize()
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Redis(host=node.host, port=int(node.port)))
            for node in client.get_nodes()
        ]


def master_url(url: str) -> str:
    """The URL of the one server that has the data now. Not for a Cluster."""
    parts = urlsplit(url)
    if parts.scheme != "redis-sentinel":
        return url
    with redis.Redis.from_url(_first(url)) as sentinel:
        found: Any = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", topologies.MASTER_NAME)
    return f"redis://127.0.0.1:{int(found[1])}/0"


@contextmanager
def running(kind: str) -> Generator[str]:
    """Start a server and yield its URL."""
    if kind == "embedded":
        yield from _embedded()
    elif kind == "redis-server":
        yield from _redis_server()
    elif kind == "sentinel":
        with topologies.watched(down_after_ms=10_000) as servers:  # no failover unless a test wants one
            yield servers.url
    elif kind == "cluster":
        with topologies.clustered(node_timeout_ms=10_000) as nodes:
            yield nodes.url
    else:
        yield from _container()


def _embedded() -> Generator[str]:
    server = EmbeddedServer(None)
    yield f"unix://{server.acquire()}"
    server.release()


def _redis_server() -> Generator[str]:
    with tempfile.TemporaryDirectory(prefix="asynq-py-test-") as folder:
        (port,) = free_ports(1)
        log = Path(folder, "log")
        process = subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", folder, "--logfile", str(log)]
        )
        try:
            _wait_for_answer(port, process)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    with redis.Redis(port=port, retry=Retry(ConstantBackoff(0.02), 250)) as client:
        client.ping()
    assert process.poll() is None


def _container() -> Generator[str]:
    from testcontainers.redis import RedisContainer

    with RedisContainer("redis:8") as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
