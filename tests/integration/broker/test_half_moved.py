"""While a slot moves, its keys are on two nodes: a task whose key has not come yet is not one that is gone.

Redis watches over the keys that a script declares. Of the task's own key it only says that it is not there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import replace

import pytest
from redis.asyncio import RedisCluster
from redis.crc import key_slot

from asynq_py.broker.broker import Broker, NewTask, Owned
from asynq_py.broker.lanes import open_lane
from asynq_py.connection import Connector
from asynq_py.errors import BrokerUnavailableError
from asynq_py.wire.keys import QueueKeys
from tests import topologies
from tests.books import Books, books
from tests.clock import ManualClock
from tests.topologies import Nodes, Process

pytestmark = [
    pytest.mark.skipif(topologies.program() is None, reason="no server binary on this machine"),
    pytest.mark.timeout(120),
]

QUEUE = "q"
K = QueueKeys(QUEUE)
VICTIM = NewTask("victim", b"a message")
OWNED = Owned("victim", 1)


@pytest.fixture(scope="module")
def nodes() -> Generator[Nodes]:
    with topologies.clustered(node_timeout_ms=10_000) as nodes:
        yield nodes


@pytest.fixture
async def broker(nodes: Nodes, clock: ManualClock) -> AsyncGenerator[Broker]:
    for master in nodes.masters():
        master.call("CLUSTER", "SETSLOT", key_slot(K.pending.encode()), "STABLE")  # if a test has failed
        master.call("FLUSHALL")
    connector = Connector(nodes.url)
    lane = open_lane(connector, role="test", timeout=10)
    yield Broker(lane, clock)
    await lane.aclose()
    await connector.aclose()


async def fill(broker: Broker) -> None:
    """Let every key exist that a script may declare: else Redis ends the call already for that."""
    names = ("active", "pending", "done", "kept", "retried", "archived", "later")
    tasks = [NewTask(name, b"another") for name in names]
    await broker.enqueue(QUEUE, [tasks[0], *tasks[2:6]])
    await broker.dequeue(QUEUE, 5, expires_at=int(now(broker)) + 1000, token=9)
    await broker.enqueue(QUEUE, [tasks[1]])
    await broker.schedule(QUEUE, [(tasks[6], int(now(broker)) + 1000, "")])
    await broker.done(QUEUE, [(Owned("done", 9), "")])
    await broker.complete(QUEUE, [(Owned("kept", 9), "", b"another", int(now(broker)) + 1000)])
    await broker.retry(QUEUE, [(Owned("retried", 9), b"another", int(now(broker)) + 1000, True)])
    await broker.archive(QUEUE, [(Owned("archived", 9), b"another")])
    await broker.add_to_group(QUEUE, [(NewTask("grouped", b"another"), "g")])


def now(broker: Broker) -> float:
    return broker._clock.time()


async def make_active(broker: Broker) -> None:
    await broker.enqueue(QUEUE, [VICTIM])
    # the one that waits longer comes first
    await broker.dequeue(QUEUE, 2, expires_at=int(now(broker)) + 500, token=1)
    await broker.requeue(QUEUE, [Owned("pending", 1)])


async def make_scheduled(broker: Broker) -> None:
    await broker.schedule(QUEUE, [(VICTIM, int(now(broker)) - 5, "")])


async def make_completed(broker: Broker) -> None:
    await make_active(broker)
    await broker.complete(QUEUE, [(OWNED, "", VICTIM.message, int(now(broker)) - 5)])


async def make_pending(broker: Broker) -> None:
    await broker.enqueue(QUEUE, [VICTIM])


Step = Callable[[Broker], Awaitable[object]]
OPERATIONS: dict[str, tuple[Step, Step]] = {
    "done": (make_active, lambda b: b.done(QUEUE, [(OWNED, "")])),
    "complete": (make_active, lambda b: b.complete(QUEUE, [(OWNED, "", b"new", int(now(b)) + 60)])),
    "retry": (make_active, lambda b: b.retry(QUEUE, [(OWNED, b"new", int(now(b)) + 60, True)])),
    "archive": (make_active, lambda b: b.archive(QUEUE, [(OWNED, b"new")])),
    "requeue": (make_active, lambda b: b.requeue(QUEUE, [OWNED])),
    "postpone": (make_active, lambda b: b.postpone(QUEUE, [(OWNED, int(now(b)) + 60)])),
    "recover": (make_active, lambda b: b.recover(QUEUE, ended_by=now(b) + 700)),
    "dequeue": (make_pending, lambda b: b.dequeue(QUEUE, 2, expires_at=int(now(b)) + 30, token=5)),
    "forward": (make_scheduled, lambda b: b.forward(QUEUE)),
    "expire": (make_completed, lambda b: b.expire(QUEUE, 10)),
    "enqueue again": (make_pending, lambda b: b.enqueue(QUEUE, [VICTIM], repeated=True)),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_task_whose_key_has_not_come_yet_is_waited_for(
    nodes: Nodes, broker: Broker, name: str
) -> None:
    prepare, operate = OPERATIONS[name]
    await fill(broker)
    await prepare(broker)
    before = await look(nodes)
    source = nodes.owner(K.pending)
    target = next(node for node in nodes.masters() if node is not source)
    nodes.begin_move(K.pending, source, target)
    move_all_but(K.task(VICTIM.id), source, target)
    try:
        with pytest.raises(BrokerUnavailableError):
            await operate(broker)
    finally:
        while nodes.move_keys(K.pending, source, target):
            pass
        nodes.end_move(K.pending, target)

    assert await look(nodes) == before
    answer = await operate(broker)
    after = await look(nodes)

    assert answer
    assert answer != [False]
    assert after == replace(after, ghosts=frozenset(), strays={"grouped"}, unleased=frozenset())
    assert (after == before) == (name == "enqueue again")


async def look(nodes: Nodes) -> Books:
    async with RedisCluster.from_url(f"redis://127.0.0.1:{nodes.processes[0].port}") as redis:
        return await books(redis, QUEUE)  # type: ignore[arg-type]


def move_all_but(kept: str, source: Process, target: Process) -> None:
    slot = key_slot(kept.encode())
    keys = [key for key in source.call("CLUSTER", "GETKEYSINSLOT", slot, 1000) if key != kept.encode()]
    source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    assert source.call("CLUSTER", "GETKEYSINSLOT", slot, 1000) == [kept.encode()]
