"""While a slot moves, its keys are on two nodes: a task whose key has not come yet is not one that is gone.

Redis watches over the keys that a script declares. Of the task's own key it only says that it is not there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pytest
from redis.asyncio import RedisCluster
from redis.crc import key_slot

from asynq_py.broker.broker import Broker, NewTask, Owned, Stored
from asynq_py.broker.flows import FOLLOW_UP, Flows, NewStep
from asynq_py.broker.groups import Aggregate, Groups, Rules, TakenSet
from asynq_py.broker.inspection import Place
from asynq_py.broker.lane import Sender
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.survey import Damage, Fault, Survey
from asynq_py.connection import Connector
from asynq_py.errors import BrokerUnavailableError
from asynq_py.wire.keys import FlowKeys, QueueKeys
from asynq_py.wire.state import TaskState
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
F = FlowKeys("f")
VICTIM = NewTask("victim", b"a message")
OWNED = Owned("victim", 1)


@pytest.fixture(scope="module")
def nodes() -> Generator[Nodes]:
    with topologies.clustered(node_timeout_ms=10_000) as nodes:
        yield nodes


@pytest.fixture
async def lane(nodes: Nodes) -> AsyncGenerator[Sender]:
    for master in nodes.masters():
        for key in (K.pending, F.state):
            master.call("CLUSTER", "SETSLOT", key_slot(key.encode()), "STABLE")  # if a test has failed
        master.call("FLUSHALL")
    connector = Connector(nodes.url)
    lane = open_lane(connector, role="test", timeout=10)
    yield lane
    await lane.aclose()
    await connector.aclose()


@pytest.fixture
def broker(lane: Sender, clock: ManualClock) -> Broker:
    return Broker(lane, clock)


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
    with half_moved(nodes, K.task(VICTIM.id)), pytest.raises(BrokerUnavailableError):
        await operate(broker)

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


@contextmanager
def half_moved(nodes: Nodes, kept: str) -> Iterator[None]:
    """All keys of a slot are on their new node, but for one."""
    source = nodes.owner(kept)
    target = next(node for node in nodes.masters() if node is not source)
    nodes.begin_move(kept, source, target)
    move_all_but(kept, source, target)
    try:
        yield
    finally:
        while nodes.move_keys(kept, source, target):
            pass
        nodes.end_move(kept, target)


def move_all_but(kept: str, source: Process, target: Process) -> None:
    slot = key_slot(kept.encode())
    keys = [key for key in source.call("CLUSTER", "GETKEYSINSLOT", slot, 1000) if key != kept.encode()]
    source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    assert source.call("CLUSTER", "GETKEYSINSLOT", slot, 1000) == [kept.encode()]


# -- repairs ------------------------------------------------------------------------------------------------

LOCK = f"{K.prefix}unique:t:1"
SET = K.aggregation_set("g", "1")


class Repair(NamedTuple):
    """`victim`: commands that put the task there. `kept`: the key that has not come. `damage`: what somebody
    takes for damaged, or None: he only looks. `mended`: it is, so later it is mended.
    """

    victim: tuple[tuple[str | int | bytes, ...], ...]
    kept: str
    damage: Damage | None
    mended: bool = False


def stored(state: str, *fields: str) -> tuple[str | int | bytes, ...]:
    return ("HSET", K.task("victim"), "msg", VICTIM.message, "state", state, *fields)


def about(fault: Fault, state: TaskState | None = None, group: str = "") -> Damage:
    ids = {Fault.LOCK: (LOCK.encode(),), Fault.GROUP: (b"h",)}.get(fault, (b"victim",))
    return Damage(fault, QUEUE, ids, Place(QUEUE, state, group) if state else None)


LOST = about(Fault.LOST)
REPAIRS = {
    "a look": Repair((stored("pending"), ("LPUSH", K.pending, "victim")), K.task("victim"), None),
    "a ghost in pending": Repair(
        (stored("pending"), ("LPUSH", K.pending, "victim")),
        K.task("victim"),
        about(Fault.GHOST, TaskState.PENDING),
    ),
    "a ghost in a set": Repair(
        (stored("archived"), ("ZADD", K.archived, 5, "victim")),
        K.task("victim"),
        about(Fault.GHOST, TaskState.ARCHIVED),
    ),
    "a lease": Repair(
        (stored("active"), ("ZADD", K.lease, 5, "victim")), K.task("victim"), about(Fault.LEASE), True
    ),
    "a lock": Repair(
        (stored("pending", "unique_key", LOCK), ("LPUSH", K.pending, "victim"), ("SET", LOCK, "victim")),
        K.task("victim"),
        about(Fault.LOCK),
    ),
    "a group that is not listed": Repair(
        (stored("aggregating", "group", "h"), ("ZADD", K.group("h"), 5, "victim")),
        K.task("victim"),
        about(Fault.GROUP),
        True,
    ),
    "a stray": Repair(
        (stored("active"), ("LPUSH", K.active, "victim")),
        K.task("victim"),
        about(Fault.STRAY, TaskState.ACTIVE),
        True,
    ),
    **{
        f"lost, not yet in {name}": Repair(
            (stored(name), ("ZADD", K.prefix + name, 5, "victim")), K.prefix + name, LOST
        )
        for name in ("scheduled", "retry", "archived", "completed")
    },
    "lost, not yet in pending": Repair((stored("pending"), ("LPUSH", K.pending, "victim")), K.pending, LOST),
    "lost, not yet in active": Repair((stored("active"), ("LPUSH", K.active, "victim")), K.active, LOST),
    "lost, lease not there yet": Repair((stored("active"), ("ZADD", K.lease, 5, "victim")), K.lease, LOST),
    "lost, not yet in its group": Repair(
        (stored("aggregating", "group", "g"), ("ZADD", K.group("g"), 5, "victim")), K.group("g"), LOST
    ),
    "lost, not yet in its set": Repair(
        (
            *(stored("aggregating", "group", "g"), ("ZADD", SET, 5, "victim")),
            ("ZADD", K.aggregation_sets, 4_000_000_000, SET),
        ),
        SET,
        LOST,
    ),
    "lost, sets not there yet": Repair(
        (
            *(stored("aggregating", "group", "g"), ("ZADD", SET, 5, "victim")),
            ("ZADD", K.aggregation_sets, 4_000_000_000, SET),
        ),
        K.aggregation_sets,
        LOST,
    ),
    **{
        f"a state, not yet in {name}": Repair(
            (stored(name), ("ZADD", K.prefix + name, 5, "victim"), ("ZADD", K.prefix + other, 5, "victim")),
            K.prefix + name,
            about(Fault.STATE, TaskState(other)),
            True,
        )
        for name, other in (("scheduled", "retry"), ("archived", "scheduled"), ("completed", "archived"))
    },
    "a state, lease not there yet": Repair(
        (
            *(stored("active"), ("LPUSH", K.active, "victim"), ("ZADD", K.lease, 4_000_000_000, "victim")),
            ("LPUSH", K.pending, "victim"),
        ),
        K.lease,
        about(Fault.STATE, TaskState.PENDING),
        True,
    ),
}


@pytest.mark.parametrize("name", REPAIRS)
async def test_a_repair_waits_for_keys_that_have_not_come_yet(
    nodes: Nodes, lane: Sender, broker: Broker, clock: ManualClock, name: str
) -> None:
    """What is not there yet is neither a ghost nor lost."""
    repair, survey = REPAIRS[name], Survey(lane, clock)
    await fill(broker)
    await broker.add_to_group(QUEUE, [(NewTask("waits", b"another"), "g")])
    for command in repair.victim:
        await lane.call(*command)
    before = await everything(nodes)

    async def operate() -> int:
        if repair.damage is None:
            return len(await survey.tasks(QUEUE, sample=100))
        return await survey.mend(repair.damage)

    with half_moved(nodes, repair.kept), pytest.raises(BrokerUnavailableError):
        await operate()

    assert await everything(nodes) == before
    assert await operate() == repair.mended
    assert (await everything(nodes) != before) == repair.mended


async def everything(nodes: Nodes) -> dict[bytes, bytes]:
    """All keys of all nodes."""
    return {key: node.call("DUMP", key) for node in nodes.masters() for key in node.call("KEYS", "*")}


UNIQUE = NewTask("new", b"another", LOCK, 60_000)


@pytest.mark.parametrize("way", ["enqueue", "schedule", "add_to_group"])
async def test_a_lock_that_has_not_come_yet_is_waited_for(nodes: Nodes, broker: Broker, way: str) -> None:
    """Else it would be taken twice, and could not come any more."""
    await fill(broker)
    await broker.enqueue(QUEUE, [NewTask("first", b"another", LOCK, 600_000)])
    tasks = [NewTask("plain", b"another"), UNIQUE]

    async def operate() -> list[object]:
        match way:
            case "enqueue":
                return [*await broker.enqueue(QUEUE, tasks)]
            case "schedule":
                return [*await broker.schedule(QUEUE, [(task, int(now(broker)) + 60, "") for task in tasks])]
            case _:
                return [*await broker.add_to_group(QUEUE, [(task, "g") for task in tasks])]

    before = await look(nodes)
    with half_moved(nodes, LOCK), pytest.raises(BrokerUnavailableError):
        await operate()

    assert await look(nodes) == before
    assert await operate() == [Stored.YES, Stored.LOCKED]


# -- groups -------------------------------------------------------------------------------------------------

WHOLE = Aggregate(NewTask("whole", b"a message"), "pending")
OF_SET = K.aggregation_set("h", "1")
GROUP_CALLS: dict[str, tuple[str, Callable[[Groups, Broker, TakenSet], Awaitable[object]]]] = {
    "read": (K.task("victim"), lambda groups, broker, taken: groups.read_set(taken)),
    "finish": (K.task("victim"), lambda groups, broker, taken: groups.finish_set(taken, WHOLE, [])),
    "finish into a group": (
        K.group("g"),
        lambda groups, broker, taken: groups.finish_set(
            taken, WHOLE._replace(state="aggregating", group="g"), []
        ),
    ),
    "give back a task": (K.task("victim"), lambda groups, broker, taken: groups.reclaim_sets(QUEUE)),
    "give back a set": (OF_SET, lambda groups, broker, taken: groups.reclaim_sets(QUEUE)),
    "give back to a group": (K.group("h"), lambda groups, broker, taken: groups.reclaim_sets(QUEUE)),
    "add": (
        K.group("h"),
        lambda groups, broker, taken: broker.add_to_group(QUEUE, [(NewTask("new", b"another"), "h")]),
    ),
}


@pytest.mark.parametrize("name", GROUP_CALLS)
async def test_a_group_waits_for_keys_that_have_not_come_yet(
    nodes: Nodes, lane: Sender, broker: Broker, clock: ManualClock, name: str
) -> None:
    """Else its tasks would be left behind, in no group, when they come."""
    kept, operate = GROUP_CALLS[name]
    groups = Groups(lane, clock)
    await fill(broker)
    await broker.add_to_group(QUEUE, [(VICTIM, "h")])
    taken = await groups.take_set(QUEUE, "h", Rules(grace=0.0, size=1), set_id="1")
    assert taken
    await broker.add_to_group(QUEUE, [(NewTask("waits", b"another"), "h")])
    if name.startswith("give back"):
        await groups.give_up(taken)
    before = await but_for_names(nodes)

    with half_moved(nodes, kept), pytest.raises(BrokerUnavailableError):
        await operate(groups, broker, taken)

    assert await but_for_names(nodes) == before
    assert await operate(groups, broker, taken)
    assert (await but_for_names(nodes) == before) == (name == "read")


async def but_for_names(nodes: Nodes) -> dict[bytes, bytes]:
    """All keys of all nodes, without the names of groups, which have no order."""
    return {key: data for key, data in (await everything(nodes)).items() if key != K.groups.encode()}


# -- flows --------------------------------------------------------------------------------------------------

STEPS = (
    NewStep("0", b"d0", ["2"], 0),
    NewStep("1", b"d1", ["2"], 0),
    NewStep("2", b"d2", [], 2),
    NewStep("f", b"df", [], FOLLOW_UP),
)
FLOW_CALLS: dict[str, tuple[bool, Callable[[Flows], Awaitable[object]]]] = {
    "add": (False, lambda flows: flows.add("f", [NewStep("3", b"d3", [], 0)])),
    "begin": (False, lambda flows: flows.begin("f", {"total": 3, "keep": 60})),
    "done": (True, lambda flows: flows.done("f", "0", b"result")),
    "fail": (True, lambda flows: flows.fail("f", "0", "archived", "an error")),
    "sent": (True, lambda flows: flows.sent("f", ["1"])),
    "expand": (True, lambda flows: flows.expand("f", "1", [b"one", b"two"])),
    "cancel": (True, lambda flows: flows.cancel("f")),
    "resume": (True, lambda flows: flows.resume("f", {"0": True})),
}


@pytest.mark.parametrize("kept", ["state", "ready", "out"])
@pytest.mark.parametrize("name", FLOW_CALLS)
async def test_a_flow_waits_for_its_keys(
    nodes: Nodes, lane: Sender, clock: ManualClock, name: str, kept: str
) -> None:
    has_begun, operate = FLOW_CALLS[name]
    flows, key = Flows(lane, clock), str(getattr(F, kept))
    await flows.add("f", STEPS)
    if has_begun:
        await flows.begin("f", {"total": 3, "keep": 60, "on_failure": "f"})
        await flows.sent("f", ["0"])
    if name == "resume":
        await flows.fail("f", "0", "archived", "an error")
    await lane.call(
        "ZADD", F.out, 5, "other"
    )  # else, of a flow of which nothing is under way, there is no such key
    await lane.call("ZADD", "asynq:flows", int(clock.time()) + 1, "f")
    before = await everything(nodes)

    with half_moved(nodes, key):
        if name == "add" and kept == "out":
            assert await operate(flows)  # that key has no part in it
            return
        with pytest.raises(BrokerUnavailableError):
            await operate(flows)

    assert await everything(nodes) == before
    assert await operate(flows)
    assert await everything(nodes) != before
