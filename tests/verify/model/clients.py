"""What one of several clients does: each operation beside what the model does with each of its commands."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

from asynq_py.broker.broker import Broker, NewTask, Owned
from asynq_py.broker.groups import Aggregate, Groups, Rules, TakenSet
from asynq_py.broker.inspection import Inspection, Place
from asynq_py.broker.survey import Survey
from asynq_py.broker.ticks import Tick, Ticks
from asynq_py.errors import BrokerUnavailableError
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import TaskMessage, encode, lock_of
from asynq_py.wire.state import TaskState
from tests.verify.model.gate import Effect, Gate, Moment
from tests.verify.model.queue_model import Claim, New, QueueModel
from tests.verify.model.world import SMALL, Scene

QUEUE: Final = "q"
K: Final = QueueKeys(QUEUE)
IDS: Final = "abcdef"
GROUPS: Final = ("g", "g:h")
CLAIMS: Final = 4
LEASE: Final = 30


class Haste(StrEnum):
    """A check that stands in a command of its own, before a script that does not check any more."""

    ID = "the ID is looked for first"
    OWNER = "whose task it is is asked first"
    PAYLOAD = "the payload is compared first"
    STATE = "whether it runs is asked first"


class Client:
    """One of several. `numbers`: the next one, of all clients. `haste`: what it checks too early."""

    def __init__(
        self, scene: Scene, gate: Gate, random: random.Random, numbers: Callable[[], int], haste: Haste | None
    ) -> None:
        self.gate = gate
        self._scene = scene
        self._random = random
        self._number = numbers
        self._broker = Broker(gate, scene.clock)
        self._groups = Groups(gate, scene.clock)
        self._inspection = Inspection(gate, scene.clock)
        self._survey = Survey(gate, scene.clock)
        self._ticks = Ticks(gate, scene.clock)
        self._claims: list[Claim] = []
        self._sets: list[TakenSet] = []
        self._haste = haste

    @property
    def model(self) -> QueueModel:
        return self._scene.models[QUEUE]

    async def work(self, operations: int) -> None:
        first = (Client.enqueue, Client.dequeue)
        usual = _OF_HASTE[self._haste] if self._haste else _OPERATIONS
        for operation in (*first, *self._random.choices(usual, k=operations)):
            with suppress(BrokerUnavailableError):  # its answer was lost, and it is not asked again
                await operation(self)

    async def agree(
        self, name: str, real: Awaitable[Any], effects: Mapping[str, Effect], expected: Callable[[], Any]
    ) -> Any:
        """Do it, while the model follows with each command, and compare the answers.

        Raises: BrokerUnavailableError: the answer was lost.
        """
        self._scene.note(name, QUEUE)
        self.gate.effects = effects
        answer = await real
        assert answer == expected(), f"{name} answers {answer!r}, must answer {expected()!r}"
        return answer

    # -- clients ----------------------------------------------------------------------------------------

    def _new(self, task_id: str = "", group: str = "") -> New:
        lock = self._random.choice(("", "", f"{K.prefix}unique:t:1"))
        message = TaskMessage(type="t", id=task_id or self._random.choice(IDS), queue=QUEUE, retry=3)
        message.payload, message.unique_key, message.group_key = b"%d" % self._number(), lock, group
        return New(message.id, encode(message), lock, 3_600_000 if lock else 0)

    def _some(self, count: int, group: str = "") -> list[New]:
        return [self._new(task_id, group) for task_id in self._random.sample(IDS, count)]

    async def enqueue(self) -> None:
        await self._store("enqueue", self._some(self._random.randint(1, 3)), "")

    async def schedule(self) -> None:
        group = self._random.choice(("", *GROUPS))
        await self._store("schedule", self._some(2, group), group)

    async def add_to_group(self) -> None:
        group = self._random.choice(GROUPS)
        await self._store("add_to_group", self._some(2, group), group)

    async def _store(self, name: str, tasks: list[New], group: str) -> None:
        """And again with the same bytes, when the answer is lost."""
        at, news = self._scene.now + self._random.choice((0, 5)), [NewTask(*task) for task in tasks]
        if self._haste is Haste.ID and name == "enqueue":
            for task in tasks:
                if await self.gate.call("EXISTS", K.task(task.id)):
                    return
        for repeated in (False, True):
            answers: list[int] = []

            def effect(moment: Moment, repeated: bool = repeated, answers: list[int] = answers) -> None:
                match name:
                    case "enqueue":
                        answers[:] = self.model.enqueue(tasks, moment.now_ns, repeated=repeated)
                    case "schedule":
                        requests = [(task, at, group) for task in tasks]
                        answers[:] = self.model.schedule(requests, repeated=repeated)
                    case _:
                        grouped = [(task, group) for task in tasks]
                        answers[:] = self.model.add_to_group(grouped, moment.now, repeated=repeated)

            match name:
                case "enqueue":
                    real: Coroutine[Any, Any, Any] = self._broker.enqueue(QUEUE, news, repeated=repeated)
                case "schedule":
                    real = self._broker.schedule(QUEUE, [(new, at, group) for new in news], repeated=repeated)
                case _:
                    real = self._broker.add_to_group(QUEUE, [(new, group) for new in news], repeated=repeated)
            try:
                await self.agree(name, real, {name: effect, **self._registering}, lambda: answers)  # noqa: B023
                return
            except BrokerUnavailableError:
                continue

    @property
    def _registering(self) -> dict[str, Effect]:
        return {"SADD asynq:queues": lambda moment: self._scene.registered.add(QUEUE)}

    async def tick(self) -> None:
        tick, new = (
            Tick("e", self._scene.now, 10 * self._random.randint(0, 1), str(self._number())),
            self._new(),
        )
        told: list[tuple[int, int]] = []

        def effect(moment: Moment) -> None:
            told.append(
                self.model.tick(
                    *(
                        tick.entry,
                        tick.at,
                        tick.spacing,
                        tick.token,
                        new,
                        "pending",
                        moment.now,
                        "",
                        moment.now_ns,
                    )
                )
            )

        real = self._ticks.enqueue_tick(
            QUEUE, tick, NewTask(*new), state=TaskState.PENDING, process_at=self._scene.now, group=""
        )
        await self.agree("tick", real, {"enqueue_tick": effect, **self._registering}, lambda: told[-1])

    # -- workers ----------------------------------------------------------------------------------------

    async def dequeue(self) -> None:
        count, expires_at, token = self._random.randint(1, 3), self._scene.now + LEASE, self._number()
        for repeated in (False, True):
            told: list[Any] = []

            def effect(moment: Moment, repeated: bool = repeated, told: list[Any] = told) -> None:
                told.append(self.model.dequeue(count, expires_at, token, repeated=repeated))

            real = self._broker.dequeue(QUEUE, count, expires_at=expires_at, token=token, repeated=repeated)
            try:
                found = await self.agree("dequeue", real, {"dequeue": effect}, lambda: told[-1])  # noqa: B023
            except BrokerUnavailableError:
                continue
            fresh = [Claim(task_id, token, message) for task_id, message, *_ in found or ()]
            self._claims = [*fresh, *self._claims][:CLAIMS]
            return

    async def report(self) -> None:
        """Of the oldest claims, so that some are stale."""
        count = self._random.randint(1, 2)
        claims = self._claims[-count:]
        if self._random.random() < 0.8:
            self._claims = self._claims[:-count]
        if not claims:
            await self.dequeue()
            return
        owned = [Owned(claim.id, claim.token) for claim in claims]
        locks = [lock_of(claim.message) for claim in claims]
        at, model, broker = self._scene.now + self._random.choice((0, 20)), self.model, self._broker
        ways = ("done", "done", "complete", "retry", "archive", "requeue", "postpone", "extend")
        how = "done" if self._haste is Haste.OWNER else self._random.choice(ways)
        told: list[list[int]] = []
        real: Coroutine[Any, Any, Any]
        effect: Callable[[Moment], list[int]]
        match how:
            case "done":
                if self._haste is Haste.OWNER:
                    for claim in claims:
                        score = await self.gate.call("ZSCORE", K.lease, claim.id)
                        if score is None or round(float(score) % 1 * 1_000_000) != claim.token:
                            return
                ended = list(zip(claims, locks, strict=True))
                real = broker.done(QUEUE, list(zip(owned, locks, strict=True)))
                effect = lambda moment: model.done(ended, moment.now, moment.day)  # noqa: E731
            case "complete":
                kept = [(claim, lock, claim.message, at) for claim, lock in zip(claims, locks, strict=True)]
                real = broker.complete(
                    QUEUE,
                    [
                        (one, lock, message, at)
                        for one, (_, lock, message, at) in zip(owned, kept, strict=True)
                    ],
                )
                effect = lambda moment: model.complete(kept, moment.now, moment.day)  # noqa: E731
            case "retry":
                tried = [(claim, claim.message, at, True) for claim in claims]
                real = broker.retry(
                    QUEUE, [(one, claim.message, at, True) for one, claim in zip(owned, claims, strict=True)]
                )
                effect = lambda moment: model.retry(tried, moment.now, moment.day)  # noqa: E731
            case "archive":
                real = broker.archive(QUEUE, [(Owned(c.id, c.token), c.message) for c in claims])
                given = [(claim, claim.message) for claim in claims]
                effect = lambda moment: model.archive(given, moment.now, moment.day)  # noqa: E731
            case "requeue":
                real = broker.requeue(QUEUE, owned)
                effect = lambda moment: model.requeue(claims, moment.now_ns)  # noqa: E731
            case "postpone":
                real = broker.postpone(QUEUE, [(one, at) for one in owned])
                effect = lambda moment: model.postpone([(claim, at) for claim in claims])  # noqa: E731
            case _:
                expires_at = self._scene.now + LEASE
                real = broker.extend(QUEUE, owned, expires_at=expires_at)
                effect = lambda moment: model.extend(claims, expires_at)  # noqa: E731
        await self.agree(
            how,
            real,
            {how: lambda moment: told.append(effect(moment))},
            lambda: [answer == 1 for answer in told[-1]],
        )

    # -- upkeep -----------------------------------------------------------------------------------------

    async def forward(self) -> None:
        await self._simply(
            "forward", self._broker.forward(QUEUE), lambda m: self.model.forward(m.now, m.now_ns)
        )

    async def recover(self) -> None:
        ended_by = self._scene.clock.time()
        real = self._broker.recover(QUEUE, ended_by=ended_by)
        await self._simply("recover", real, lambda m: self.model.recover(ended_by, m.now_ns))

    async def expire(self) -> None:
        await self._simply("expire", self._broker.expire(QUEUE, 2), lambda m: self.model.expire(m.now, 2))

    async def _simply(self, name: str, real: Awaitable[Any], effect: Callable[[Moment], Any]) -> None:
        """One command that changes something, and its answer."""
        told: list[Any] = []
        await self.agree(name, real, {name: lambda moment: told.append(effect(moment))}, lambda: told[-1])

    async def look_after(self) -> None:
        """What is in order must not be touched, whatever others do between the look and the repair."""
        self.gate.effects = {}
        k, survey = K, self._survey
        keys = sorted(key for key in await self.gate.call("KEYS", k.prefix + "*"))
        ids = [
            key.removeprefix(k.task_prefix.encode()) for key in keys if key.startswith(k.task_prefix.encode())
        ]
        locks = [key for key in keys if key.startswith(f"{k.prefix}unique:".encode())]
        groups = [group.encode() for group in GROUPS]
        self._scene.note("look after", QUEUE)
        damages = [*await survey.tasks(QUEUE, sample=100), await survey.leases(QUEUE, sample=100)]
        damages += [await survey.lost_tasks(QUEUE, ids), await survey.lost_locks(QUEUE, locks)]
        damages.append(await survey.unlisted_groups(QUEUE, groups))
        for damage in damages:
            assert damage is None or not await survey.mend(damage), f"{damage} was no damage"

    async def reclaim(self) -> None:
        self.gate.effects = {}
        told = await self._broker.strays(QUEUE)
        assert not told, f"{told} have no lease"
        others = [task_id.encode() for task_id in self._random.sample(IDS, 2)]
        await self.agree("reclaim", self._broker.reclaim(QUEUE, others), {}, list)

    # -- groups -----------------------------------------------------------------------------------------

    async def aggregate(self) -> None:
        """From the look to the finished set; another may be quicker, or its time may be over."""
        rules, names = Rules(self._random.choice((0, 5)), size=self._random.choice((0, 2))), set[str]()
        conditions: dict[str, Any] = {"grace": int(rules.grace), "size": rules.size, "delay": None}
        due: list[set[str]] = [set()]

        def look(moment: Moment) -> None:
            names.update(self.model.listed_groups)

        def see(moment: Moment) -> None:
            due.append(names & self.model.due_groups(moment.now, **conditions))

        effects = {f"SSCAN {K.groups}": look, "due_groups": see}
        for group in sorted(await self.agree("due groups", self._due(rules), effects, lambda: due[-1])):
            await self._take_set(group, rules, conditions)
        if self._sets:
            await self._finish_set(self._random.choice(self._sets))

    async def _due(self, rules: Rules) -> set[str]:
        return {group async for group in self._groups.due_groups(QUEUE, rules)}

    async def _take_set(self, group: str, rules: Rules, conditions: Mapping[str, Any]) -> None:
        set_id = str(self._number())
        key, told = K.aggregation_set(group, set_id), list[TakenSet | None]()

        def effect(moment: Moment) -> None:
            count = self.model.take_set(group, key, moment.now, **conditions)
            ends_at = moment.now + SMALL.aggregation_time
            told.append(TakenSet(QUEUE, group, set_id, key, ends_at, count) if count else None)

        real = self._groups.take_set(QUEUE, group, rules, set_id=set_id)
        taken = await self.agree("take set", real, {"take_set": effect}, lambda: told[-1])
        if taken is not None:
            self._sets = [taken, *self._sets][:2]

    async def _finish_set(self, taken: TakenSet) -> None:
        read: list[list[tuple[bytes, bytes]]] = []

        def effect_of_read(moment: Moment) -> None:
            read.append([(task_id.encode(), message) for task_id, message in self.model.read_set(taken.key)])

        reading = self._groups.read_set(taken)
        members = await self.agree(
            "read set", reading, {"read_set": effect_of_read}, lambda: read[-1][: taken.size]
        )
        locks = [(task_id, lock_of(message)) for task_id, message in members if lock_of(message)]
        new, now = self._new(), self._scene.now
        held = [(task_id.decode(), lock) for task_id, lock in locks]
        real = self._groups.finish_set(taken, Aggregate(NewTask(*new), "pending", now), locks)
        await self._simply(
            "finish_set",
            real,
            lambda m: self.model.finish_set(
                *(taken.key, taken.group, taken.size, (new, "pending", now, ""), held, m.now_ns)
            ),
        )

    async def reclaim_sets(self) -> None:
        counts: list[int] = []
        now, real = self._scene.now, self._groups.reclaim_sets(QUEUE)
        effect: Effect = lambda _: counts.append(self.model.reclaim_some(now, K.group_prefix))  # noqa: E731
        await self.agree(
            "reclaim sets", real, {"reclaim_set": effect}, lambda: sum(count for count in counts if count > 0)
        )

    async def give_up(self) -> None:
        if self._sets:
            taken = self._random.choice(self._sets)
            effects: dict[str, Effect] = {
                f"ZADD {K.aggregation_sets}": lambda m: self.model.give_up(taken.key, m.now)
            }
            await self.agree("give up", self._groups.give_up(taken), effects, lambda: None)

    # -- inspectors -------------------------------------------------------------------------------------

    async def move_one(self) -> None:
        task_id, inspection = self._random.choice(IDS), self._inspection
        match self._random.randrange(3):
            case 0:
                if self._haste is Haste.STATE and await self._state(task_id) == b"active":
                    return
                real = inspection.run_task(QUEUE, task_id)
                await self._simply("run_task", real, lambda m: self.model.run_task(task_id, m.now_ns))
            case 1:
                real = inspection.archive_task(QUEUE, task_id)
                await self._simply("archive_task", real, lambda m: self.model.archive_task(task_id, m.now))
            case _:
                real = inspection.delete_task(QUEUE, task_id)
                await self._simply("delete_task", real, lambda m: self.model.delete_task(task_id, ""))

    async def _state(self, task_id: str) -> bytes | None:
        state: bytes | None = await self.gate.call("HGET", K.task(task_id), "state")
        return state

    async def move_all(self) -> None:
        group, model = self._random.choice(GROUPS), self.model
        act, state = self._random.choice(_MOVES)
        place = Place(QUEUE, TaskState(state), group if state == "aggregating" else "")
        counts: list[int] = []

        def effect(moment: Moment) -> None:
            match act:
                case "run_all":
                    counts.append(model.run_some(state, group, moment.now_ns)[1])
                case "archive_all":
                    counts.append(model.archive_some(state, group, moment.now)[1])
                case _:
                    counts.append(model.delete_some(state, group, {})[1])

        match act:
            case "run_all":
                real = self._inspection.run_all(place)
            case "archive_all":
                real = self._inspection.archive_all(place)
            case _:
                real = self._inspection.delete_all(place)
        await self.agree(f"{act} {state}", real, {act: effect}, lambda: sum(counts))

    async def update_payload(self) -> None:
        scheduled = sorted(self.model.sets["scheduled"])
        if not scheduled:
            await self.schedule()
            return
        task_id = self._random.choice(scheduled)
        before = await self.gate.call("HGET", K.task(task_id), "msg") or b""
        lock = lock_of(before)
        message = TaskMessage(type="t", id=task_id, queue=QUEUE, retry=3, unique_key=lock)
        message.payload = b"%d" % self._number()
        after, locks = encode(message), (lock, lock)
        if self._haste is Haste.PAYLOAD and await self.gate.call("HGET", K.task(task_id), "msg") != before:
            return
        real = self._inspection.update_payload(QUEUE, task_id, before=before, after=after, locks=locks)
        await self._simply(
            "update_payload", real, lambda m: self.model.update_payload(task_id, before, after, locks)
        )


_OPERATIONS: Final[tuple[Callable[[Client], Coroutine[Any, Any, None]], ...]] = (
    *(Client.enqueue, Client.enqueue, Client.schedule, Client.add_to_group, Client.tick),
    *(Client.dequeue, Client.dequeue, Client.report, Client.report, Client.report),
    *(Client.forward, Client.recover, Client.expire, Client.reclaim, Client.look_after),
    *(Client.aggregate, Client.aggregate, Client.reclaim_sets, Client.give_up),
    *(Client.move_one, Client.move_all, Client.update_payload),
)
# whoever checks too early does little else
_OF_HASTE: Final[Mapping[Haste, tuple[Callable[[Client], Coroutine[Any, Any, None]], ...]]] = {
    Haste.ID: (Client.enqueue, Client.dequeue, Client.report),
    Haste.OWNER: (Client.enqueue, Client.dequeue, Client.report, Client.report, Client.recover),
    Haste.PAYLOAD: (Client.schedule, Client.update_payload, Client.update_payload, Client.forward),
    Haste.STATE: (Client.enqueue, Client.schedule, Client.dequeue, Client.move_one, Client.move_one),
}
_MOVES: Final = (
    *(("run_all", state) for state in ("scheduled", "retry", "archived", "aggregating")),
    *(("archive_all", state) for state in ("pending", "scheduled", "retry", "aggregating")),
    *(("delete_all", state) for state in ("pending", "scheduled", "archived", "completed", "aggregating")),
)
