"""A master dies under load: by Sentinel, and in a Cluster. Nothing acknowledged is lost, and work goes on."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio.sentinel import Sentinel

from asynq_py import ActiveTask, Client, EnqueueError, Server, Task
from asynq_py.errors import BrokerError, BrokerUnavailableError
from tests import topologies
from tests.eventually import eventually
from tests.topologies import Nodes, Process, Watched

WITHIN = 10.0  # seconds from the first good PING to the next task: generous, the figure is printed

pytestmark = [
    pytest.mark.skipif(topologies.program() is None, reason="no server binary on this machine"),
    pytest.mark.timeout(120),
]


class Load:
    """Enqueues without pause and handles what arrives; keeps book of both."""

    def __init__(self, *queues: str) -> None:
        self.queues = queues
        self.acknowledged: set[str] = set()
        self.handled: dict[str, float] = {}

    async def handle(self, task: ActiveTask) -> None:
        self.handled.setdefault(task.id, time.monotonic())

    @asynccontextmanager
    async def on(self, url: str, **durability: object) -> AsyncGenerator[None]:
        shares = dict.fromkeys(self.queues, 1)
        server = Server(url, self.handle, queues=shares, concurrency=20, lease=5.0, recover_interval=0.5)
        async with Client(url, durability="replica", replica_timeout=1.0) as client, server:
            producing = [asyncio.ensure_future(self._produce(client, queue)) for queue in self.queues]
            try:
                yield
            finally:
                for producer in producing:
                    producer.cancel()
                await asyncio.gather(*producing, return_exceptions=True)
            await eventually(self._missing, lambda missing: not missing, within=40)

    async def _produce(self, client: Client, queue: str) -> None:
        while True:
            try:
                info = await client.enqueue(Task("t"), queue=queue, retention=60)
                self.acknowledged.add(info.id)
            except (EnqueueError, BrokerUnavailableError):
                pass  # nothing was promised
            await asyncio.sleep(0.001)

    async def _missing(self) -> set[str]:
        return self.acknowledged - self.handled.keys()

    async def goes_on(self, count: int = 300) -> None:
        """Wait until so many more tasks were handled."""
        so_far = len(self.handled)
        await eventually(self._count, lambda handled: handled >= so_far + count, within=40)

    async def _count(self) -> int:
        return len(self.handled)

    async def resumed_after(self, good_ping: float) -> float:
        """Seconds from then to the next task."""

        async def later() -> list[float]:
            return [at for at in self.handled.values() if at >= good_ping]

        return min(await eventually(later, within=40)) - good_ping


async def first_good_ping(new_master: Process) -> float:
    await eventually(lambda: asyncio.to_thread(_is_master, new_master), within=40)
    return time.monotonic()


def _is_master(process: Process) -> bool:
    return process.role == "master"


@pytest.fixture
async def watched() -> AsyncGenerator[Watched]:
    manager = topologies.watched(replicas=2, down_after_ms=500)
    yield await asyncio.to_thread(manager.__enter__)
    await asyncio.to_thread(manager.__exit__, None, None, None)


@pytest.fixture
async def nodes() -> AsyncGenerator[Nodes]:
    manager = topologies.clustered(node_timeout_ms=1000)
    yield await asyncio.to_thread(manager.__enter__)
    await asyncio.to_thread(manager.__exit__, None, None, None)


async def test_sentinel_promotes_a_replica_and_nothing_acknowledged_is_lost(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    load = Load("default", "low")
    async with load.on(watched.url):
        await load.goes_on()
        watched.servers[0].kill()
        await eventually(lambda: asyncio.to_thread(_promoted, watched), within=40)
        took = await load.resumed_after(time.monotonic())
        await load.goes_on()

    _report(capsys, "Sentinel failover", took, load)
    assert took < WITHIN


def _promoted(watched: Watched) -> bool:
    return any(_is_master(server) for server in watched.servers[1:])


async def test_a_failover_asked_for_moves_everybody_to_the_new_master_at_once(watched: Watched) -> None:
    """The old master lives on, and takes writes until Sentinel demotes it, some ten seconds later."""
    old, load = watched.servers[0], Load("default")
    async with load.on(watched.url):
        await load.goes_on()
        await asyncio.to_thread(watched.sentinels[0].call, "SENTINEL", "FAILOVER", topologies.MASTER_NAME)
        await eventually(lambda: asyncio.to_thread(lambda: watched.master is not old), within=40)
        new = await asyncio.to_thread(lambda: watched.master)
        await eventually(lambda: asyncio.to_thread(_lanes, new), lambda lanes: len(lanes) == 3, within=7)
        assert old.role == "master"  # nobody had to be told off
        await load.goes_on()


def _lanes(process: Process) -> set[bytes]:
    """The lanes that are used all the time, as far as they are connected."""
    return set(re.findall(rb"name=asynq-py:(client|fetch|outcomes)", process.call("CLIENT", "LIST")))


async def test_sentinels_may_have_a_password_of_their_own(watched: Watched) -> None:
    for sentinel in watched.sentinels:
        sentinel.call("ACL", "SETUSER", "ours", "reset", "on", ">secret", "+@all")
        sentinel.call("ACL", "SETUSER", "default", "off")

    async with Client(f"{watched.url}&sentinel_username=ours&sentinel_password=secret") as client:
        await client.enqueue(Task("t"))
    async with Client(watched.url) as client:
        with pytest.raises(BrokerError, match="denies access"):
            await client.enqueue(Task("t"))


async def test_a_live_client_made_by_sentinel_is_borrowed(watched: Watched) -> None:
    addresses = [("127.0.0.1", sentinel.port) for sentinel in watched.sentinels]
    manager = Sentinel(addresses)  # type: ignore[no-untyped-call]
    theirs = manager.master_for(topologies.MASTER_NAME)

    async with Client(theirs) as client:
        await client.enqueue(Task("t"))
    assert await theirs.llen("asynq:{default}:pending") == 1
    for open_client in (theirs, *manager.sentinels):
        await open_client.aclose()


async def test_two_sentinels_of_three_may_be_gone(watched: Watched) -> None:
    for sentinel in watched.sentinels[1:]:
        sentinel.kill()

    async with Client(watched.url) as client:
        await client.enqueue(Task("t"))


async def test_without_any_sentinel_redis_is_away(watched: Watched) -> None:
    for sentinel in watched.sentinels:
        sentinel.kill()

    async with Client(watched.url, timeout=0.5) as client:
        with pytest.raises(BrokerUnavailableError, match="sentinels"):
            await client.enqueue(Task("t"))


async def test_an_unknown_master_is_told_by_its_name(watched: Watched) -> None:
    async with Client(watched.url + "x", timeout=0.5) as client:
        with pytest.raises(BrokerUnavailableError, match=f"{topologies.MASTER_NAME}x"):
            await client.enqueue(Task("t"))


async def test_a_master_of_a_cluster_dies_and_other_queues_hardly_notice(
    nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    load = Load("default", "low", "critical")  # their slots lie on three masters
    owners = {
        (await asyncio.to_thread(nodes.owner, f"asynq:{{{queue}}}:pending")).port for queue in load.queues
    }
    assert len(owners) > 1
    async with load.on(nodes.url):
        await load.goes_on()
        victim = await asyncio.to_thread(nodes.owner, "asynq:{default}:pending")
        victim.kill()
        replica = nodes.processes[nodes.processes.index(victim) + 3]
        good = await first_good_ping(replica)
        took = await load.resumed_after(good)
        await load.goes_on()

    _report(capsys, "Cluster failover", took, load)
    assert took < WITHIN


def _report(capsys: pytest.CaptureFixture[str], what: str, took: float, load: Load) -> None:
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{what}: consuming again {took:.2f} s after the first good PING; "
            f"{len(load.acknowledged)} acknowledged, all handled"
        )
