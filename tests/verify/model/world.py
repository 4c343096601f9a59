"""A real server with the real broker on it, and beside it the model of what must be there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from asynq_py.broker.broker import Broker
from asynq_py.broker.groups import Groups
from asynq_py.broker.inspection import Inspection
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.registry import Registry
from asynq_py.broker.removal import Removal
from asynq_py.broker.survey import Survey
from asynq_py.broker.ticks import Ticks
from asynq_py.connection import Connector
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys
from tests.clock import ManualClock
from tests.state import NOW
from tests.verify.conserved import violations
from tests.verify.model.go_scripts import GoQueue
from tests.verify.model.queue_model import SETS, Limits, QueueModel
from tests.verify.snapshot import SNAPSHOT, Entry, Snapshot, parsed

T = TypeVar("T")

QUEUES: Final = ("q", "r")
SMALL: Final = Limits()
TTL_TOLERANCE_MS: Final = 600_000  # pauses of the machine; each time to live is an hour at least


@contextmanager
def small_limits() -> Iterator[None]:
    """Let the broker work with the numbers of `SMALL`."""
    before = {name: getattr(limits, name.upper()) for name in SMALL._fields}
    for name, value in SMALL._asdict().items():
        setattr(limits, name.upper(), value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(limits, name.upper(), value)


class Figures:
    """What a run of the machine came to. `pairs`: two operations in a row on one task, how often."""

    def __init__(self) -> None:
        self.steps = 0
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.operations: Counter[str] = Counter()


class World:
    """Everything that lives longer than one run of the machine: the loop, the connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.figures = Figures()
        self._connector = Connector(url)
        self.lane = open_lane(self._connector, role="verify")
        self.run(self.lane.call("PING"))  # from here on there is a connection

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.lane.aclose())
        self.run(self._connector.aclose())
        self.loop.close()


class Scene:
    """One run: an empty server, models of its queues, a clock."""

    def __init__(self, world: World, *, with_go: bool) -> None:
        self.world = world
        self.clock = ManualClock(NOW)
        world.run(world.lane.call("FLUSHALL"))
        lane = world.lane
        self.lane = lane
        self.broker = Broker(lane, self.clock)
        self.groups = Groups(lane, self.clock)
        self.inspection = Inspection(lane, self.clock)
        self.removal = Removal(lane, self.clock, self.inspection)
        self.registry = Registry(lane)
        self.survey = Survey(lane, self.clock)
        self.ticks = Ticks(lane, self.clock)
        self.go = {queue: GoQueue(lane, queue, SMALL) for queue in QUEUES} if with_go else {}
        self.models = {queue: QueueModel(queue, SMALL) for queue in QUEUES}
        self.registered: set[str] = set()
        self.damaged: set[tuple[str, str]] = set()
        self._last: dict[tuple[str, str], str] = {}

    @property
    def now(self) -> int:
        return int(self.clock.time())

    @property
    def now_ns(self) -> int:
        return int(self.clock.time() * 1_000_000) * 1000

    @property
    def day(self) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(self.clock.time()))

    def note(self, operation: str, queue: str, ids: Iterator[str] | tuple[str, ...] = ()) -> None:
        """Count an operation, and what it follows."""
        figures = self.world.figures
        figures.operations[operation] += 1
        for task_id in ids:
            before = self._last.get((queue, task_id))
            if before is not None:
                figures.pairs[before, operation] += 1
            self._last[queue, task_id] = operation

    def look(self) -> Snapshot:
        return parsed(self.world.run(self._read()))

    async def _read(self) -> Any:
        return await self.lane.post(SNAPSHOT([], ()))

    def check(self) -> None:
        """Compare all that Redis holds with the models, and check the invariants."""
        self.check_what_is(self.look())

    async def check_now(self) -> None:
        """The same, where the loop runs already."""
        self.check_what_is(parsed(await self._read()))

    def check_what_is(self, seen: Snapshot) -> None:
        self.world.figures.steps += 1
        wanted = self._expected()
        if _bare(seen) != wanted:
            raise AssertionError(_differences(_bare(seen), wanted))
        self._check_ttls(seen)
        found = violations(seen, damaged=self.damaged, counters_roll_over=True)
        assert not found, "\n".join(found)

    def _expected(self) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        if self.registered:
            wanted["asynq:queues"] = {queue.encode() for queue in self.registered}
        for model in self.models.values():
            wanted.update(_keys_of(model))
        return wanted

    def _check_ttls(self, seen: Snapshot) -> None:
        for model in self.models.values():
            k = QueueKeys(model.name)
            for key, lock in model.locks.items():
                left = seen[key].ttl
                assert lock.ms - TTL_TOLERANCE_MS < left <= lock.ms, f"{key} lasts {left} ms, not {lock.ms}"
            for name, ends_at in model.counter_ends.items():
                left = seen[k.prefix + name].ttl
                off = abs(ends_at - time.time() - left / 1000)
                assert off < 600, f"{name} ends {off} s too early or too late"
            for entry in model.ticks:
                left = seen[k.cron(entry)].ttl
                wanted = SMALL.tick_ttl * 1000
                assert wanted - TTL_TOLERANCE_MS < left <= wanted, f"{entry} is remembered for {left} ms"

    def adopt(self, queue: str, seen: Snapshot) -> None:
        """Make the model what Redis holds: after a repair, of which only the outcome is promised."""
        self.models[queue] = _model_of(queue, seen, self.models[queue])
        self.damaged = {(of, task_id) for of, task_id in self.damaged if of != queue}


def _bare(seen: Snapshot) -> dict[str, Any]:
    return {key: entry.value for key, entry in seen.items()}


def _keys_of(model: QueueModel) -> dict[str, Any]:
    """All keys of a queue, as `Entry.value`."""
    k = QueueKeys(model.name)
    found: dict[str, Any] = {
        k.pending: [task_id.encode() for task_id in reversed(model.pending)],
        k.active: [task_id.encode() for task_id in reversed(model.active)],
        k.lease: {task_id.encode(): score for task_id, score in model.lease_scores()},
        k.groups: {group.encode() for group in model.listed_groups},
        k.aggregation_sets: _scores(model.taken_until),
        **{k.prefix + name: _scores(model.sets[name]) for name in SETS},
        **{k.group(name): _scores(members) for name, members in model.groups.items()},
        **{key: _scores(members) for key, members in model.taken.items()},
        **{
            k.task(task_id): {name.encode(): part for name, part in fields.items()}
            for task_id, fields in model.hashes.items()
        },
    }
    found = {key: value for key, value in found.items() if value}
    found.update((key, lock.holder.encode()) for key, lock in model.locks.items())
    found.update((k.prefix + name, str(count).encode()) for name, count in model.counters.items())
    if model.paused_at is not None:
        found[k.paused] = str(model.paused_at).encode()
    for entry, tick in model.ticks.items():
        found[k.cron(entry)] = {
            b"at": str(tick.at).encode(),
            b"token": tick.token.encode(),
            b"answer": str(tick.answer).encode(),
        }
    return found


def _scores(members: Mapping[str, float]) -> dict[bytes, float]:
    return {member.encode(): float(score) for member, score in members.items()}


def _model_of(queue: str, seen: Snapshot, before: QueueModel) -> QueueModel:
    k = QueueKeys(queue)
    empty = Entry("", (), -1)

    def texts(key: str) -> list[str]:
        return [member.decode() for member in seen.get(key, empty).value]

    def scores(key: str) -> dict[str, int]:
        entry = seen.get(key)
        return {} if entry is None else {member.decode(): int(at) for member, at in entry.value.items()}

    lease = seen[k.lease].value if k.lease in seen else {}
    sets = texts(k.aggregation_sets)
    mine = [key for key in seen if key.startswith(k.prefix)]
    return QueueModel(
        queue,
        before.limits,
        hashes={
            key.removeprefix(k.task_prefix): {name.decode(): part for name, part in seen[key].value.items()}
            for key in mine
            if key.startswith(k.task_prefix)
        },
        pending=texts(k.pending)[::-1],
        active=texts(k.active)[::-1],
        lease={
            member.decode(): (int(score), round(score % 1 * 1_000_000)) for member, score in lease.items()
        },
        sets={name: scores(k.prefix + name) for name in SETS},
        groups={
            key.removeprefix(k.group_prefix): scores(key)
            for key in mine
            if key.startswith(k.group_prefix) and key not in sets
        },
        listed_groups=set(texts(k.groups)),
        taken={key: scores(key) for key in sets if key in seen},
        taken_until=scores(k.aggregation_sets),
        locks={key: lock for key, lock in before.locks.items() if key in seen},
        counters=before.counters,
        counter_ends=before.counter_ends,
        ticks=before.ticks,
        paused_at=before.paused_at,
    )


def _differences(seen: dict[str, Any], wanted: dict[str, Any]) -> str:
    lines = [
        f"{key}:\n  is      {seen.get(key)!r}\n  must be {wanted.get(key)!r}"
        for key in sorted(seen.keys() | wanted.keys())
        if seen.get(key) != wanted.get(key)
    ]
    return "Redis and the model differ\n" + "\n".join(lines)
