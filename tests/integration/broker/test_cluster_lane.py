"""Which node a command goes to, and what becomes of it when that node says no."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator

import pytest

from asynq_py.broker.broker import Broker, NewTask
from asynq_py.broker.cluster_lane import ClusterLane
from asynq_py.broker.lane import Command, Sender
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.scripts import Script
from asynq_py.broker.watch import Watch
from asynq_py.connection import Connector, cluster
from asynq_py.errors import AsynqError, BrokerError, BrokerUnavailableError
from tests import topologies
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.ports import closed_port
from tests.topologies import Nodes, Process

pytestmark = pytest.mark.skipif(topologies.program() is None, reason="no server binary on this machine")

ADD = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])", "0" * 40)
KEY = "{q}"  # its slot is the first master's or another's; each test asks


@pytest.fixture(scope="module")
def nodes() -> Generator[Nodes]:
    with topologies.clustered(node_timeout_ms=10_000) as nodes:
        yield nodes


@pytest.fixture
def source(nodes: Nodes) -> Process:
    for master in nodes.processes[:3]:
        master.call("FLUSHALL")
    return nodes.owner(KEY)


@pytest.fixture
def target(nodes: Nodes, source: Process) -> Process:
    return next(process for process in nodes.processes[:3] if process is not source)


@pytest.fixture
def connector(nodes: Nodes) -> Connector:
    return Connector(nodes.url)


@pytest.fixture
async def lane(connector: Connector) -> AsyncGenerator[Sender]:
    lane = open_lane(connector, role="test", timeout=10)
    yield lane
    await lane.aclose()


async def test_each_key_finds_its_node(lane: Sender) -> None:
    assert isinstance(lane, ClusterLane)
    assert await asyncio.gather(*(lane.call("INCR", f"k{n}") for n in range(100))) == [1] * 100
    assert await lane.post(ADD(["k1"], (5,))) == 6
    assert await lane.call_all(Command(("GET", "k1")), Command(("GET", "k2"))) == [b"6", b"1"]


async def test_commands_of_one_key_keep_their_order(lane: Sender, source: Process) -> None:
    assert await asyncio.gather(*(lane.call("INCR", KEY) for _ in range(300))) == list(range(1, 301))


async def test_a_ping_is_answered_by_every_master(lane: Sender, nodes: Nodes) -> None:
    before = [_pings(process) for process in nodes.processes[:3]]
    assert await lane.call("PING") == b"PONG"
    assert [_pings(process) for process in nodes.processes[:3]] == [count + 1 for count in before]


def _pings(process: Process) -> int:
    told = process.said("INFO", "commandstats").get("cmdstat_ping", "calls=0,")
    return int(told.partition("calls=")[2].partition(",")[0])


async def test_a_moved_slot_is_followed(lane: Sender, nodes: Nodes, source: Process, target: Process) -> None:
    assert await lane.call("INCR", KEY) == 1
    await asyncio.to_thread(nodes.move, KEY, target)

    assert await lane.call("INCR", KEY) == 2
    assert await lane.post(ADD([KEY], (1,))) == 3
    await asyncio.to_thread(nodes.move, KEY, source)
    assert await lane.call("INCR", KEY) == 4


async def test_a_key_that_has_gone_ahead_of_its_slot_is_asked_for(
    lane: Sender, nodes: Nodes, source: Process, target: Process
) -> None:
    """ASK: for this once, and with ASKING before it."""
    assert await lane.call("INCR", KEY) == 1
    await asyncio.to_thread(nodes.begin_move, KEY, source, target)
    try:
        await asyncio.to_thread(nodes.move_keys, KEY, source, target)

        assert await lane.call("INCR", KEY) == 2
        target.call("SCRIPT", "FLUSH")
        assert await lane.post(ADD([KEY], (1,))) == 3
        many = asyncio.gather(*(lane.call("INCR", KEY) for _ in range(200)))
        assert sorted(await many) == list(range(4, 204))
    finally:
        await asyncio.to_thread(nodes.end_move, KEY, target)
        await asyncio.to_thread(nodes.move, KEY, source)


async def test_keys_torn_apart_by_a_move_mean_unavailable_and_not_done(
    lane: Sender, nodes: Nodes, source: Process, target: Process
) -> None:
    """TRYAGAIN."""
    await lane.call("SET", KEY, 1)
    await asyncio.to_thread(nodes.begin_move, KEY, source, target)
    try:
        with pytest.raises(BrokerUnavailableError, match="TRYAGAIN") as caught:
            await lane.post(ADD([KEY, "{q}missing"], (1,)))
        assert not caught.value.maybe_done
    finally:
        await asyncio.to_thread(nodes.move_keys, KEY, source, target)
        await asyncio.to_thread(nodes.end_move, KEY, target)
        await asyncio.to_thread(nodes.move, KEY, source)


async def test_a_script_that_runs_into_a_key_on_its_way_may_be_half_done(
    lane: Sender, nodes: Nodes, source: Process, target: Process
) -> None:
    await lane.call("SET", KEY, 1)
    await asyncio.to_thread(nodes.begin_move, KEY, source, target)
    peek = Script("peek", "return redis.call('GET', '{q}gone')", "1" * 40)
    try:
        with pytest.raises(BrokerUnavailableError, match="slot is moving") as caught:
            await lane.post(peek([KEY], ()))
        assert caught.value.maybe_done
    finally:
        await asyncio.to_thread(nodes.move_keys, KEY, source, target)
        await asyncio.to_thread(nodes.end_move, KEY, target)
        await asyncio.to_thread(nodes.move, KEY, source)


async def test_a_watch_follows_its_slot(nodes: Nodes, source: Process, target: Process) -> None:
    connector = Connector(nodes.url)
    watch, key = Watch(connector, "q"), "asynq:{q}:pending"
    waiting = asyncio.ensure_future(watch.has_work())
    await eventually(lambda: asyncio.to_thread(_blocked, source), lambda count: count == 1)

    await asyncio.to_thread(nodes.move, key, target)
    with pytest.raises(BrokerUnavailableError, match="MOVED"):
        await waiting
    target.call("LPUSH", key, "a")

    assert await eventually(lambda: _found(watch)) is True
    await watch.aclose()
    await asyncio.to_thread(nodes.move, key, source)


async def _found(watch: Watch) -> bool:
    try:
        return await watch.has_work()
    except BrokerUnavailableError:  # another node did not know yet
        return False


def _blocked(process: Process) -> int:
    return int(process.said("INFO", "clients")["blocked_clients"])


async def test_two_keys_of_different_slots_are_refused(lane: Sender) -> None:
    with pytest.raises(BrokerError):
        await lane.post(ADD(["{a}", "{b}"], (1,)))


async def test_with_no_node_there_nothing_was_done() -> None:
    with closed_port() as port:
        lane = open_lane(Connector(f"redis-cluster://127.0.0.1:{port}"), role="test")

        with pytest.raises(BrokerUnavailableError, match=f"cluster of 127.0.0.1:{port}") as caught:
            await lane.call("INCR", KEY)
        assert not caught.value.maybe_done
        await lane.aclose()


async def test_one_seed_that_answers_is_enough(nodes: Nodes) -> None:
    with closed_port() as dead:
        lane = open_lane(
            Connector(f"redis-cluster://127.0.0.1:{dead},127.0.0.1:{nodes.processes[4].port}"), role="t"
        )

        assert await lane.call("PING") == b"PONG"
        await lane.aclose()


async def test_a_server_that_is_no_cluster_is_told(redis_url: str, server_kind: str) -> None:
    if server_kind != "redis-server":
        pytest.skip("needs one server with a port")
    lane = open_lane(Connector(redis_url.replace("redis://", "redis-cluster://")), role="t")
    with pytest.raises(BrokerUnavailableError, match="cluster support disabled"):
        await lane.call("PING")
    await lane.aclose()


async def test_a_closed_lane_refuses_commands_and_may_be_closed_again(lane: Sender) -> None:
    under_way = lane.post(Command(("INCR", "n")))
    await lane.aclose()
    await lane.aclose()

    assert under_way.done()
    with pytest.raises(AsynqError, match="closed"):
        lane.post(Command(("PING",)))


async def test_slots_are_asked_for_once_by_all_who_need_them(connector: Connector, nodes: Nodes) -> None:
    before = sum(_asked(process) for process in nodes.processes)
    lanes = [open_lane(connector, role="t") for _ in range(4)]
    await asyncio.gather(*(lane.call("GET", f"k{n}") for n, lane in enumerate(lanes * 20)))
    await asyncio.gather(*(lane.aclose() for lane in lanes))

    asked = sum(_asked(process) for process in nodes.processes) - before
    assert 1 <= asked <= cluster.ASKED_AT_ONCE


async def test_a_look_at_the_slots_that_is_cancelled_is_made_up_for(
    connector: Connector, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PAUSE", 0.0)
    place = connector.cluster
    assert place is not None
    await place.look()
    place.distrust()
    looking = asyncio.create_task(place.look())
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    before = sum(_asked(process) for process in nodes.processes)

    await place.look()

    assert sum(_asked(process) for process in nodes.processes) > before


def _asked(process: Process) -> int:
    told = process.said("INFO", "commandstats").get("cmdstat_cluster|slots", "calls=0,")
    return int(told.partition("calls=")[2].partition(",")[0])


async def test_a_task_is_in_doubt_when_its_queue_could_not_be_listed_on_a_full_node(
    nodes: Nodes, source: Process, lane: Sender, clock: ManualClock
) -> None:
    lists = nodes.owner("asynq:queues")
    queue = next(str(n) for n in range(99) if nodes.owner(f"{{{n}}}") is not lists)
    lists.call("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(BrokerUnavailableError, match="maxmemory") as caught:
            await Broker(lane, clock).enqueue(queue, [NewTask("a", b"a message")])
    finally:
        lists.call("CONFIG", "SET", "maxmemory", 0)

    assert caught.value.maybe_done
    assert await lane.call("LLEN", f"asynq:{{{queue}}}:pending") == 1


async def test_a_cluster_that_lost_a_slot_is_unavailable(lane: Sender, nodes: Nodes, source: Process) -> None:
    """CLUSTERDOWN."""
    slot = cluster.slot_of(KEY)
    for process in nodes.processes:
        process.call("CLUSTER", "DELSLOTS", slot)
    try:
        with pytest.raises(BrokerUnavailableError) as caught:
            await lane.call("INCR", KEY)
        assert not caught.value.maybe_done
    finally:
        for process in nodes.processes[:3]:
            process.call("CLUSTER", "SETSLOT", slot, "NODE", source.call("CLUSTER", "MYID"))
        await eventually(lambda: asyncio.to_thread(topologies.is_ok, source))
    assert await eventually(lambda: _increased(lane)) >= 1


async def _increased(lane: Sender) -> int:
    try:
        return int(await lane.call("INCR", KEY))
    except BrokerUnavailableError:
        return 0
