"""What the load stands on: one server, a master watched by Sentinel, or a Cluster; and what befalls each.

All methods block; the nemesis calls them in threads, those that strike servers one after the other.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import redis
from redis.crc import key_slot

from asynq_py.wire.keys import QueueKeys
from tests import topologies
from tests.ports import free_ports
from tests.topologies import LASTING, Nodes, Process, Watched, answers, until
from tests.verify.chaos.jobs import QUEUES

KINDS: Final = ("standalone", "sentinel", "cluster")
QUICK: Final = "socket_timeout=1"  # an answer that does not come must not cost a lease


class Ground(ABC):
    """`url`: for clients. `port`: of the one server, if there is one to put links before."""

    url: str
    port: int | None = None

    @property
    @abstractmethod
    def servers(self) -> Sequence[Process]:
        """All that have data."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until all servers run and are in step."""

    def masters(self) -> Sequence[Process]:
        return self.servers

    def kill_clients(self) -> None:
        self._tell_those_that_run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def flush_scripts(self) -> None:
        self._tell_those_that_run("SCRIPT", "FLUSH")

    def _tell_those_that_run(self, *command: str) -> None:
        for server in self.servers:
            if answers(server.port):
                with contextlib.suppress(redis.RedisError):  # struck in this very moment
                    server.call(*command)

    def starve(self, seconds: float) -> None:
        """Out of memory, for so long."""
        masters = self.masters()
        for master in masters:
            used = master.said("INFO", "memory")["used_memory"]
            master.call("CONFIG", "SET", "maxmemory", used, "maxmemory-policy", "noeviction")
        time.sleep(seconds)
        for master in masters:
            master.call("CONFIG", "SET", "maxmemory", 0)

    @abstractmethod
    def restart(self, number: int, down: float) -> None:
        """Kill a master, and start it again `down` seconds later, or when another one has its place."""

    @abstractmethod
    def freeze(self, number: int, seconds: float) -> None:
        """Stop a master where it is, for so long."""

    @abstractmethod
    def move(self, number: int) -> None:
        """Let another server have the tasks, in good order."""


def freeze(server: Process, seconds: float) -> None:
    server.freeze()
    time.sleep(seconds)
    server.thaw()


class Standalone(Ground):
    def __init__(self, server: Process) -> None:
        self._server = server
        self.port = server.port
        self.url = f"redis://127.0.0.1:{server.port}/0?{QUICK}"

    @property
    def servers(self) -> Sequence[Process]:
        return [self._server]

    def settle(self) -> None:
        self._server.call("PING")

    def restart(self, number: int, down: float) -> None:
        self._server.kill()
        time.sleep(down)
        self._server.start()
        self._server.call("PING")

    def freeze(self, number: int, seconds: float) -> None:
        freeze(self._server, seconds)

    def move(self, number: int) -> None:
        raise NotImplementedError("there is no other server")


class Sentinel(Ground):
    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self.url = f"{watched.url}&{QUICK}"

    @property
    def servers(self) -> Sequence[Process]:
        return self._watched.servers

    def masters(self) -> Sequence[Process]:
        return [self._watched.master]

    def settle(self) -> None:
        until(self._is_settled, "one master, and replicas that are in step")

    def _is_settled(self) -> bool:
        if not all(answers(server.port) for server in self.servers):
            return False
        master = self._watched.master
        replicas = [server for server in self.servers if server is not master]
        return master.role == "master" and all(
            server.role == "slave" and server.is_in_step for server in replicas
        )

    def restart(self, number: int, down: float) -> None:
        old = self._watched.master
        old.kill()
        until(lambda: self._watched.master is not old, "failover")
        old.start()
        self.settle()

    def freeze(self, number: int, seconds: float) -> None:
        freeze(self._watched.master, seconds)
        self.settle()

    def move(self, number: int) -> None:
        old = self._watched.master
        self._watched.sentinels[0].call("SENTINEL", "FAILOVER", topologies.MASTER_NAME)
        until(lambda: self._watched.master is not old, "failover")
        self.settle()


class Cluster(Ground):
    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.url = f"{nodes.url}?{QUICK}"

    @property
    def servers(self) -> Sequence[Process]:
        return self._nodes.processes

    def masters(self) -> Sequence[Process]:
        return self._nodes.masters()

    def settle(self) -> None:
        until(self._is_settled, "a Cluster that is whole, and replicas that are in step")

    def _is_settled(self) -> bool:
        if not all(answers(node.port) for node in self.servers):
            return False
        roles = {node.port: node.role for node in self.servers}
        return list(roles.values()).count("master") == 3 and all(
            topologies.is_ok(node) and (roles[node.port] == "master" or node.is_in_step)
            for node in self.servers
        )

    def _owner(self, number: int) -> tuple[str, Process]:
        """A key of some queue that stands for its slot, and the node that has it."""
        queue = list(QUEUES)[number % len(QUEUES)]
        key = QueueKeys(queue).pending
        return key, self._nodes.owner(key, asked=next(n for n in self.servers if answers(n.port)))

    def restart(self, number: int, down: float) -> None:
        _, old = self._owner(number)
        old.kill()
        witness = next(node for node in self.servers if answers(node.port))
        until(lambda: self._has_no_slots(witness, old), "failover")
        old.start()
        self.settle()

    def _has_no_slots(self, witness: Process, node: Process) -> bool:
        slots = witness.call("CLUSTER", "SLOTS")
        return all(master[1] != node.port for _, _, master, *_ in slots)

    def freeze(self, number: int, seconds: float) -> None:
        freeze(self._owner(number)[1], seconds)
        self.settle()

    def move(self, number: int) -> None:
        key, owner = self._owner(number)
        others = [node for node in self.masters() if node is not owner]
        target = others[number % len(others)]
        try:
            self._nodes.move(key, target)
        except redis.ResponseError as error:
            raise AssertionError(f"on both nodes: {self._on_both(key, owner, target)}") from error
        # so that what a replica said it has is not lost with the node that has it now
        self.settle()

    def _on_both(self, key: str, source: Process, target: Process) -> set[bytes]:
        """Keys of a slot that somebody has made on its new node while they were on the old one."""
        slot = key_slot(key.encode())
        here, there = (set(node.call("CLUSTER", "GETKEYSINSLOT", slot, 100_000)) for node in (source, target))
        return here & there


@contextmanager
def standing_on(kind: str) -> Generator[Ground]:
    with ExitStack() as stack:
        if kind == "standalone":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="asynq-py-chaos-")))
            server = Process(folder, free_ports(1)[0], ["--save", "", *LASTING])
            stack.callback(server.kill)
            server.start()
            ground: Ground = Standalone(server)
        elif kind == "sentinel":
            ground = Sentinel(stack.enter_context(topologies.watched(lasting=True)))
        else:
            ground = Cluster(stack.enter_context(topologies.clustered(lasting=True)))
        for each in ground.servers:
            stack.callback(each.thaw)
        ground.settle()
        yield ground
