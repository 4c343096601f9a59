"""The machine: it takes steps drawn by Hypothesis, on the real broker and on the model, and compares.

Few IDs, locks and groups, so that steps meet on the same task; and workers report of whatever they were ever
given, so that stale reports and repeated ones come by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final, TypeAlias

from google.protobuf.message import DecodeError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asynq_py.broker.broker import NewTask, Owned
from asynq_py.broker.groups import Aggregate, Member, Rules, TakenSet
from asynq_py.broker.inspection import Place
from asynq_py.broker.survey import Damage
from asynq_py.broker.ticks import Tick
from asynq_py.errors import BrokerError
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import TaskMessage, encode
from asynq_py.wire.state import TaskState
from tests.verify.conserved import violations
from tests.verify.model.queue_model import Claim, Lock, New, QueueModel
from tests.verify.model.world import SMALL, Scene, World
from tests.verify.snapshot import Snapshot

Spec: TypeAlias = tuple[str, int | None]  # ID, and number of the lock or None

IDS: Final = "abcdef"
GROUPS: Final = ("g", "g:h")
LOCK_MS: Final = (3_600_000, 7_200_000)
CLAIMS: Final = 8
LEASE: Final = 30

queues = st.sampled_from(("q", "q", "q", "r"))
ids = st.sampled_from(IDS)
specs = st.lists(st.tuples(ids, st.sampled_from((None, None, 0, 1))), min_size=1, max_size=3)
places = st.integers(0, len(IDS) - 1)
picks = st.lists(st.integers(0, CLAIMS - 1), min_size=1, max_size=3)
pick = st.integers(0, CLAIMS - 1)
delays = st.sampled_from((0, 1, 20, 100))
groups = st.sampled_from(GROUPS)
spans = st.sampled_from((0.25, 1, 1, 5, 5, 30, 31, 60, 121, 3_600, 86_400, 91 * 86_400))
rules_of_groups = st.sampled_from(
    (Rules(60), Rules(1), Rules(1000, delay=30), Rules(1000, size=2), Rules(20, delay=100, size=3))
)
moves_of_all = st.sampled_from(
    [("run", state) for state in ("scheduled", "retry", "archived", "aggregating")]
    + [("archive", state) for state in ("pending", "scheduled", "retry", "aggregating")]
    + [
        ("delete", state)
        for state in ("pending", "scheduled", "retry", "archived", "completed", "aggregating")
    ]
)


class Machine(RuleBasedStateMachine):
    """`world`, `with_go`, `with_damage`: set by whoever runs it. `go_is_careless`: a worker of Go also ends
    tasks that are no longer its own.
    """

    world: ClassVar[World]
    with_go: ClassVar[bool] = False
    with_damage: ClassVar[bool] = True
    go_is_careless: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(self.world, with_go=self.with_go)
        self.claims: dict[str, list[Claim]] = {"q": [], "r": []}
        self.taken_sets: list[TakenSet] = []
        self.last_request: Callable[[], None] | None = None
        self.last_fetch: dict[str, tuple[int, int, int]] = {}
        self.number = 0

    # -- helpers ----------------------------------------------------------------------------------------

    def model(self, queue: str) -> QueueModel:
        return self.scene.models[queue]

    def agree(
        self, operation: str, queue: str, about: Iterable[str], real: Coroutine[Any, Any, Any], expected: Any
    ) -> None:
        """Let the broker do it, and compare its answer with the model's."""
        self.scene.note(operation, queue, tuple(about))
        answer = self.world.run(real)
        assert answer == expected, f"{operation} answers {answer!r}, must answer {expected!r}"

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def lock_key(self, queue: str, number: int) -> str:
        return f"asynq:{{{queue}}}:unique:t:{number}"

    def new(self, queue: str, task_id: str, lock: int | None = None, group: str = "") -> New:
        key = "" if lock is None else self.lock_key(queue, lock)
        payload = str(self.next_number()).encode()
        message = encode(
            TaskMessage(
                type="t", payload=payload, id=task_id, queue=queue, retry=3, unique_key=key, group_key=group
            )
        )
        return New(task_id, message, key, 0 if lock is None else LOCK_MS[lock])

    def changed(self, claim: Claim) -> bytes:
        """The message as a worker writes it back."""
        try:
            message = TaskMessage.FromString(claim.message)
        except DecodeError:
            return claim.message + b"!"
        message.retried += 1
        message.error_msg = str(self.next_number())
        return encode(message)

    def some_id(self, queue: str, place: int) -> str:
        """One of the tasks that there are, if there are any."""
        known = sorted(self.model(queue).hashes) or IDS
        return known[place % len(known)]

    def is_whole(self, queue: str, task_id: str) -> bool:
        return (queue, task_id) not in self.scene.damaged

    # -- clients ----------------------------------------------------------------------------------------

    @rule(queue=queues, specs=specs)
    def enqueue(self, queue: str, specs: list[Spec]) -> None:
        tasks = [self.new(queue, *spec) for spec in specs]
        self.enqueue_these(queue, tasks, repeated=False)
        self.last_request = lambda: self.enqueue_these(queue, tasks, repeated=True)

    def enqueue_these(self, queue: str, tasks: list[New], *, repeated: bool) -> None:
        self.scene.registered.add(queue)
        expected = self.model(queue).enqueue(tasks, self.scene.now_ns, repeated=repeated)
        real = self.scene.broker.enqueue(queue, [NewTask(*task) for task in tasks], repeated=repeated)
        self.agree("enqueue again" if repeated else "enqueue", queue, _ids(tasks), real, expected)

    @rule(queue=queues, specs=specs, delay=delays, group=st.sampled_from(("", "", *GROUPS)))
    def schedule(self, queue: str, specs: list[Spec], delay: int, group: str) -> None:
        at = self.scene.now + delay
        tasks = [(self.new(queue, *spec, group), at, group) for spec in specs]
        self.schedule_these(queue, tasks, repeated=False)
        self.last_request = lambda: self.schedule_these(queue, tasks, repeated=True)

    def schedule_these(self, queue: str, tasks: list[tuple[New, int, str]], *, repeated: bool) -> None:
        self.scene.registered.add(queue)
        expected = self.model(queue).schedule(tasks, repeated=repeated)
        requests = [(NewTask(*task), at, group) for task, at, group in tasks]
        real = self.scene.broker.schedule(queue, requests, repeated=repeated)
        name = "schedule again" if repeated else "schedule"
        self.agree(name, queue, _ids(task for task, *_ in tasks), real, expected)

    @rule(queue=queues, specs=specs, group=groups)
    def add_to_group(self, queue: str, specs: list[Spec], group: str) -> None:
        tasks = [(self.new(queue, *spec, group), group) for spec in specs]
        self.add_these(queue, tasks, repeated=False)
        self.last_request = lambda: self.add_these(queue, tasks, repeated=True)

    def add_these(self, queue: str, tasks: list[tuple[New, str]], *, repeated: bool) -> None:
        self.scene.registered.add(queue)
        expected = self.model(queue).add_to_group(tasks, self.scene.now, repeated=repeated)
        requests = [(NewTask(*task), group) for task, group in tasks]
        real = self.scene.broker.add_to_group(queue, requests, repeated=repeated)
        name = "group again" if repeated else "group"
        self.agree(name, queue, _ids(task for task, _ in tasks), real, expected)

    @precondition(lambda self: self.last_request is not None)
    @rule()
    def repeat_request(self) -> None:
        """The answer was lost, so the client asks again with the same bytes."""
        assert self.last_request is not None
        self.last_request()

    @rule(
        queue=queues,
        spec=st.tuples(ids, st.sampled_from((None, 0))),
        entry=st.sampled_from(("e", "f")),
        ago=st.sampled_from((0, 0, 1, 5)),
        spacing=st.sampled_from((0, 10)),
        kind=st.sampled_from(("pending", "scheduled", "aggregating")),
        token=st.sampled_from(("1", "2")),
    )
    def tick(self, queue: str, spec: Spec, entry: str, ago: int, spacing: int, kind: str, token: str) -> None:
        self.scene.registered.add(queue)
        group = "g" if kind == "aggregating" else ""
        new = self.new(queue, *spec, group)
        now = self.scene.now
        at, process_at = now - ago, now + 20
        expected = self.model(queue).tick(
            entry, at, spacing, token, new, kind, process_at, group, self.scene.now_ns
        )
        real = self.scene.ticks.enqueue_tick(
            queue,
            Tick(entry, at, spacing, token),
            NewTask(*new),
            state=TaskState(kind),
            process_at=process_at,
            group=group,
        )
        self.agree("tick", queue, [new.id], real, expected)

    # -- workers ----------------------------------------------------------------------------------------

    @rule(queue=queues, count=st.integers(1, 4))
    def dequeue_some(self, queue: str, count: int) -> None:
        self.dequeue(queue, count)

    def dequeue(self, queue: str, count: int) -> int:
        """Returns how many tasks there were; their claims come first now."""
        fetch = (count, self.scene.now + LEASE, self.next_number())
        self.last_fetch[queue] = fetch
        return self.fetch(queue, *fetch, repeated=False)

    @rule()
    def dequeue_all(self) -> None:
        self.dequeue("q", 10)

    @rule(count=st.integers(1, 3), outcome=st.integers(0, 8), is_late=st.booleans())
    def work(self, count: int, outcome: int, is_late: bool) -> None:
        """Take some tasks, and say what became of them: at once, or when others have taken them over, who
        then say the same.
        """
        first = self.dequeue("q", count)
        if not is_late:
            self.report(list(range(first)), outcome)
            return
        self.scene.check()
        self.advance(LEASE + 1)
        self.recover("q", 0)
        self.recover("q", 0)
        again = self.dequeue("q", count)
        self.scene.check()
        self.report(list(range(again, min(again + first, CLAIMS))), outcome)
        self.scene.check()
        self.report(list(range(again)), outcome)

    def report(self, picks: list[int], outcome: int) -> None:
        if not picks:
            return
        match outcome:
            case 0 | 1:
                self.done("q", picks)
            case 2:
                self.complete("q", picks, 10)
            case 3:
                self.retry("q", picks, 1, True)
            case 4:
                self.archive("q", picks)
            case 5:
                self.requeue("q", picks)
            case 6:
                self.postpone("q", picks, 20)
            case 7:
                self.extend("q", picks)
            case _:
                self.write_result("q", picks)

    @rule(queue=queues)
    def repeat_dequeue(self, queue: str) -> None:
        """The answer was lost, so the worker asks again with the same token."""
        if queue in self.last_fetch:
            self.fetch(queue, *self.last_fetch[queue], repeated=True)

    def fetch(self, queue: str, count: int, expires_at: int, token: int, *, repeated: bool) -> int:
        expected = self.model(queue).dequeue(count, expires_at, token, repeated=repeated)
        real = self.scene.broker.dequeue(queue, count, expires_at=expires_at, token=token, repeated=repeated)
        found = [(task_id, token, message) for task_id, message, *_ in expected or ()]
        self.agree("dequeue", queue, [task_id for task_id, *_ in found], real, expected)
        self.remember(queue, [Claim(*claim) for claim in found])
        return len(found)

    def remember(self, queue: str, claims: list[Claim]) -> None:
        fresh = [claim for claim in claims if claim not in self.claims[queue]]
        self.claims[queue] = [*fresh, *self.claims[queue]][:CLAIMS]

    @precondition(lambda self: any(self.claims.values()))
    @rule(queue=queues, picks=picks)
    def done(self, queue: str, picks: list[int]) -> None:
        queue = self.busy(queue)
        if claims := self.reports(queue, picks):
            tasks = [(claim, _lock_of(claim.message)) for claim in claims]
            expected = self.model(queue).done(tasks, self.scene.now, self.scene.day)
            real = self.scene.broker.done(queue, [(_owned(claim), lock) for claim, lock in tasks])
            self.agree("done", queue, _ids(claims), real, _bools(expected))

    def busy(self, queue: str) -> str:
        """That queue, or the other one if no worker has anything of it."""
        return queue if self.claims[queue] else next(name for name, known in self.claims.items() if known)

    def reports(self, queue: str, picks: Sequence[int]) -> list[Claim]:
        """What some workers report of: picked among what was given out last, so some of it is stale."""
        known = self.claims[queue]
        return [known[i % len(known)] for i in picks] if known else []

    @precondition(lambda self: any(self.claims.values()))
    @rule(queue=queues, picks=picks, retention=st.sampled_from((0, 10, 50)))
    def complete(self, queue: str, picks: list[int], retention: int) -> None:
        queue = self.busy(queue)
        if claims := self.reports(queue, picks):
            end = self.scene.now + retention
            tasks = [(claim, _lock_of(claim.message), self.changed(claim), end) for claim in claims]
            expected = self.model(queue).complete(tasks, self.scene.now, self.scene.day)
            items = [(_owned(claim), lock, message, at) for claim, lock, message, at in tasks]
            real = self.scene.broker.complete(queue, items)
            self.agree("complete", queue, _ids(claims), real, _bools(expected))

    @precondition(lambda self: any(self.claims.values()))
    @rule(queue=queues, picks=picks, delay=delays, counts=st.booleans())
    def retry(self, queue: str, picks: list[int], delay: int, counts: bool) -> None:
        queue = self.busy(queue)
        if claims := self.reports(queue, picks):
            at = self.scene.now + delay
            tasks = [(claim, self.changed(claim), at, counts) for claim in claims]
            expected = self.model(queue).retry(tasks, self.scene.now, self.scene.day)
            items = [(_owned(claim), message, at, counts) for claim, message, at, counts in tasks]
            real = self.scene.broker.retry(queue, items)
            self.agree("retry", queue, _ids(claims), real, _bools(expected))

    @precondition(lambda self: any(self.claims.values()))
    @rule(queue=queues, picks=picks)
    def archive(self, queue: str, picks: list[int]) -> None:
        queue = self.busy(queue)
        if claims := self.reports(queue, picks):
            tasks = [(claim, self.changed(claim)) for claim in claims]
            expected = self.model(queue).archive(tasks, self.scene.now, self.scene.day)
            real = self.scene.broker.archive(queue, [(_owned(claim), message) for claim, message in tasks])
            self.agree("archive", queue, _ids(claims), real, _bools(expected))

    @precondition(lambda self: any(self.claims.values()))
    @rule(queue=queues, picks=picks)
    def requeue(self, queue: str, picks: list[int]) -> None:
        queue = self.busy(queue)
        if claims := self.reports(queue, picks):
            expected = self.model(queue).requeue(claims, self.scene.now_ns)
            real = self.scene.broker.requeue(queue, [_owned(claim) for claim in claims])
            self.agree("requeue", queue, _ids(claims), real, _bools(expected))

    @precondition(lambda self: any(self.claims.values()))
    @rule(queue=queues, picks=picks, delay=delays)
    def postpone(self, queue: str, picks: list[int], delay: int) -> None:
        queue = self.busy(queue)
        if claims := self.reports(queue, picks):
            tasks = [(claim, self.scene.now + delay) for claim in claims]
            expected = self.model(queue).postpone(tasks)
            real = self.scene.broker.postpone(queue, [(_owned(claim), at) for claim, at in tasks])
            self.agree("postpone", queue, _ids(claims), real, _bools(expected))

    @precondition(lambda self: any(self.claims.values()))
    @rule(queue=queues, picks=picks)
    def extend(self, queue: str, picks: list[int]) -> None:
        queue = self.busy(queue)
        if claims := self.reports(queue, picks):
            expires_at = self.scene.now + LEASE
            expected = self.model(queue).extend(claims, expires_at)
            real = self.scene.broker.extend(queue, [_owned(claim) for claim in claims], expires_at=expires_at)
            self.agree("extend", queue, _ids(claims), real, _bools(expected))

    @precondition(lambda self: any(self.claims.values()))
    @rule(queue=queues, picks=picks)
    def write_result(self, queue: str, picks: list[int]) -> None:
        queue = self.busy(queue)
        for claim in self.reports(queue, picks[:1]):
            result = str(self.next_number()).encode()
            expected = self.model(queue).write_result(claim, result)
            real = self.scene.broker.write_result(queue, claim.id, claim.token, result)
            self.agree("result", queue, [claim.id], real, expected)

    # -- upkeep -----------------------------------------------------------------------------------------

    @rule(queue=queues)
    def forward(self, queue: str) -> None:
        expected = self.model(queue).forward(self.scene.now, self.scene.now_ns)
        self.agree("forward", queue, self.model(queue).pending, self.scene.broker.forward(queue), expected)

    @rule(queue=queues, skew=st.sampled_from((0, 5)))
    def recover(self, queue: str, skew: int) -> None:
        ended_by = self.scene.clock.time() - skew
        expected = self.model(queue).recover(ended_by, self.scene.now_ns)
        real = self.scene.broker.recover(queue, ended_by=ended_by)
        self.agree("recover", queue, expected, real, expected)

    @rule(queue=queues, others=st.lists(ids, max_size=2))
    def reclaim(self, queue: str, others: list[str]) -> None:
        """Hand back what is active without a lease. `others`: were so when last seen, perhaps."""
        strays = self.model(queue).strays()
        self.agree("strays", queue, (), self.scene.broker.strays(queue), [s.encode() for s in strays])
        told = [*strays, *others]
        expected = self.model(queue).reclaim(told, self.scene.now_ns)
        real = self.scene.broker.reclaim(queue, [task_id.encode() for task_id in told])
        self.agree("reclaim", queue, told, real, expected)

    @rule(queue=queues, batch=st.sampled_from((1, 2, 100)))
    def expire(self, queue: str, batch: int) -> None:
        over = list(self.model(queue).sets["completed"])
        expected = self.model(queue).expire(self.scene.now, batch)
        self.agree("expire", queue, over, self.scene.broker.expire(queue, batch), expected)

    # -- aggregation ------------------------------------------------------------------------------------

    @rule(queue=queues, group=groups, rules=rules_of_groups)
    def take_set_now(self, queue: str, group: str, rules: Rules) -> None:
        self.take_set(queue, group, rules)

    def take_set(self, queue: str, group: str, rules: Rules) -> None:
        conditions = {"grace": int(rules.grace), "size": rules.size}
        delay = None if rules.delay is None else int(rules.delay)
        due = self.model(queue).due_groups(self.scene.now, delay=delay, **conditions)
        self.agree("due groups", queue, (), self.due_groups(queue, rules), due)
        set_id = str(self.next_number())
        key = QueueKeys(queue).aggregation_set(group, set_id)
        count = self.model(queue).take_set(group, key, self.scene.now, delay=delay, **conditions)
        ends_at = self.scene.now + SMALL.aggregation_time
        expected = TakenSet(queue, group, set_id, key, ends_at, count) if count else None
        real = self.scene.groups.take_set(queue, group, rules, set_id=set_id)
        self.agree("take set", queue, self.model(queue).taken.get(key, ()), real, expected)
        if expected is not None:
            self.taken_sets = [expected, *self.taken_sets][:CLAIMS]

    async def due_groups(self, queue: str, rules: Rules) -> set[str]:
        return {group async for group in self.scene.groups.due_groups(queue, rules)}

    @precondition(lambda self: self.taken_sets)
    @rule(pick=pick, spec=st.tuples(ids, st.sampled_from((None, 0))), into=st.sampled_from(("", "pending",
          "scheduled", "aggregating")))  # fmt: skip
    def finish_set(self, pick: int, spec: Spec, into: str) -> None:
        """Aggregate a set; it may have been given back, or finished, or be short of a task by now."""
        taken = self.taken_sets[pick % len(self.taken_sets)]
        model = self.model(taken.queue)
        members = model.read_set(taken.key)
        read = [Member(task_id.encode(), message) for task_id, message in members]
        self.agree("read set", taken.queue, (), self.scene.groups.read_set(taken), read[: taken.size])
        locks = [(task_id, _lock_of(message)) for task_id, message in members if _lock_of(message)]
        aggregate: tuple[New, str, int, str] | None = None
        if into:
            group = "g" if into == "aggregating" else ""
            new = self.new(taken.queue, *spec, group)
            aggregate = (new, into, self.scene.now + 20, group)
        expected = model.finish_set(taken.key, taken.group, taken.size, aggregate, locks, self.scene.now_ns)
        real = self.scene.groups.finish_set(
            taken,
            aggregate and Aggregate(NewTask(*aggregate[0]), *aggregate[1:]),
            [(task_id.encode(), lock) for task_id, lock in locks],
        )
        about = [task_id for task_id, _ in members] + ([aggregate[0].id] if aggregate else [])
        self.agree("finish set", taken.queue, about, real, expected)

    @precondition(lambda self: self.taken_sets)
    @rule(pick=pick, place=st.integers(0, 3))
    def set_aside(self, pick: int, place: int) -> None:
        taken = self.taken_sets[pick % len(self.taken_sets)]
        model = self.model(taken.queue)
        members = model.read_set(taken.key)[place : place + 1]
        chosen = [(task_id, message + b"") for task_id, message in members if message]
        if not chosen:
            return
        count = model.set_aside(taken.key, chosen, self.scene.now)
        real = self.scene.groups.set_aside(taken, [Member(i.encode(), message) for i, message in chosen])
        shorter = taken._replace(size=taken.size - count)
        self.agree("set aside", taken.queue, [task_id for task_id, _ in chosen], real, shorter)
        self.taken_sets = [shorter, *self.taken_sets][:CLAIMS]

    @precondition(lambda self: self.taken_sets)
    @rule(pick=pick)
    def give_up(self, pick: int) -> None:
        taken = self.taken_sets[pick % len(self.taken_sets)]
        self.model(taken.queue).give_up(taken.key, self.scene.now)
        self.agree("give up", taken.queue, (), self.scene.groups.give_up(taken), None)

    @rule(queue=queues)
    def reclaim_sets(self, queue: str) -> None:
        about = [task_id for members in self.model(queue).taken.values() for task_id in members]
        expected = self.model(queue).reclaim_sets(self.scene.now, QueueKeys(queue).group_prefix)
        self.agree("reclaim sets", queue, about, self.scene.groups.reclaim_sets(queue), expected)

    # -- inspectors -------------------------------------------------------------------------------------

    @rule(queue=queues, place=places, act=st.sampled_from(("run", "archive", "delete")))
    def move_one(self, queue: str, place: int, act: str) -> None:
        task_id = self.some_id(queue, place)
        match act:
            case "run":
                self.run_task(queue, task_id)
            case "archive":
                self.archive_task(queue, task_id)
            case _:
                self.delete_task(queue, task_id)

    @rule(queue=queues, move=moves_of_all, group=groups)
    def move_all(self, queue: str, move: tuple[str, str], group: str) -> None:
        act, state = move
        match act:
            case "run":
                self.run_all(queue, state, group)
            case "archive":
                self.archive_all(queue, state, group)
            case _:
                self.delete_all(queue, state, group)

    @rule(queue=queues, on=st.sampled_from((True, False, False)))
    def turn_pause(self, queue: str, on: bool) -> None:
        if on:
            self.pause(queue)
            self.scene.check()
            self.dequeue(queue, 2)
        else:
            self.unpause(queue)

    def run_task(self, queue: str, task_id: str) -> None:
        expected = self.model(queue).run_task(task_id, self.scene.now_ns)
        self.agree("run", queue, [task_id], self.scene.inspection.run_task(queue, task_id), expected)

    def archive_task(self, queue: str, task_id: str) -> None:
        expected = self.model(queue).archive_task(task_id, self.scene.now)
        self.agree(
            "put aside", queue, [task_id], self.scene.inspection.archive_task(queue, task_id), expected
        )

    def delete_task(self, queue: str, task_id: str) -> None:
        model = self.model(queue)
        expected = model.delete_task(task_id, _lock_of(model.hashes.get(task_id, {}).get("msg", b"")))
        self.agree("delete", queue, [task_id], self.scene.inspection.delete_task(queue, task_id), expected)

    def run_all(self, queue: str, state: str, group: str) -> None:
        place = _place(queue, state, group)
        expected = self.model(queue).run_all(state, group, self.scene.now_ns)
        self.agree(f"run all {state}", queue, (), self.scene.inspection.run_all(place), expected)

    def archive_all(self, queue: str, state: str, group: str) -> None:
        place = _place(queue, state, group)
        expected = self.model(queue).archive_all(state, group, self.scene.now)
        self.agree(f"put all {state} aside", queue, (), self.scene.inspection.archive_all(place), expected)

    def delete_all(self, queue: str, state: str, group: str) -> None:
        named = self.named_locks(queue) if state == "aggregating" else {}
        expected = self.model(queue).delete_all(state, group, named)
        real = self.scene.inspection.delete_all(_place(queue, state, group))
        self.agree(f"delete all {state}", queue, (), real, expected)

    def named_locks(self, queue: str) -> dict[str, str]:
        hashes = self.model(queue).hashes
        return {task_id: _lock_of(fields.get("msg", b"")) for task_id, fields in hashes.items()}

    @rule(queue=queues, place=places, lock=st.sampled_from((0, 1)), is_current=st.booleans())
    def update_payload(self, queue: str, place: int, lock: int, is_current: bool) -> None:
        task_id = self.some_id(queue, place)
        fields = self.model(queue).hashes.get(task_id, {})
        before = fields.get("msg", b"") if is_current else b"another"
        old = fields.get("unique_key", b"").decode()
        locks = (old, self.lock_key(queue, lock) if old else "")
        message = TaskMessage(type="t", id=task_id, queue=queue, retry=3, unique_key=locks[1])
        message.payload = str(self.next_number()).encode()
        after = encode(message)
        expected = self.model(queue).update_payload(task_id, before, after, locks)
        real = self.scene.inspection.update_payload(queue, task_id, before=before, after=after, locks=locks)
        self.agree("update", queue, [task_id], real, expected)

    def pause(self, queue: str) -> None:
        expected = self.model(queue).pause(self.scene.now)
        self.agree("pause", queue, (), self.scene.registry.pause(queue, now=self.scene.now), expected)

    def unpause(self, queue: str) -> None:
        self.agree("unpause", queue, (), self.scene.registry.unpause(queue), self.model(queue).unpause())

    @rule(queue=queues, force=st.sampled_from((False, False, True)))
    def remove_queue(self, queue: str, force: bool) -> None:
        expected = self.model(queue).remove(force=force, named_locks=self.named_locks(queue))
        self.agree("remove", queue, (), self.scene.removal.remove(queue, force=force), expected)
        if expected == "OK":
            self.scene.registered.discard(queue)
            self.advance(6)  # clients name a queue anew after 5 s

    # -- time, and damage -------------------------------------------------------------------------------

    @rule(seconds=spans)
    def advance(self, seconds: float) -> None:
        """Let time pass, and what has its end by the clock of Redis end by ours: counters of a day."""
        self.scene.clock.advance(seconds)
        for queue, model in self.scene.models.items():
            for name in [name for name, end in model.counter_ends.items() if end <= self.scene.now]:
                del model.counters[name], model.counter_ends[name]
                self.damage("DEL", QueueKeys(queue).prefix + name)

    @rule(queue=queues, kind=st.integers(0, 7), off=st.sampled_from((-1, 0, 0)))
    def advance_to_what_is_next(self, queue: str, kind: int, off: int) -> None:
        """To the very second at which something is due, or to the one before it."""
        model = self.model(queue)
        moments = (
            model.sets["scheduled"].values(),
            model.sets["retry"].values(),
            model.sets["completed"].values(),
            [at + SMALL.archive_age for at in model.sets["archived"].values()],
            model.taken_until.values(),
            [int(score) + 1 for _, score in model.lease_scores()],
            [tick.at + 10 for tick in model.ticks.values()],
            [int(score) + 6 for _, score in model.lease_scores()],
        )[kind]
        later = [at + off - self.scene.clock.time() for at in moments if at + off > self.scene.clock.time()]
        if later:
            self.advance(min(later))

    @rule(queue=queues, group=groups, rules=rules_of_groups, off=st.sampled_from((-1, 0, 0)))
    def group_comes_of_age(self, queue: str, group: str, rules: Rules, off: int) -> None:
        """Look for the group at the very second at which it is due, or one before it."""
        scores = sorted(self.model(queue).groups.get(group, {}).values())
        if not scores:
            return
        due_at = scores[-1] + int(rules.grace) if rules.delay is None else scores[0] + int(rules.delay)
        if due_at + off > self.scene.clock.time():
            self.advance(due_at + off - self.scene.clock.time())
        self.take_set(queue, group, rules)

    @rule(queue=queues, number=st.integers(0, 2))
    def something_vanishes(self, queue: str, number: int) -> None:
        """A lock whose time is over, which is Redis's own time; or the scripts that it knew."""
        if number < 2:
            self.lock_ends(queue, number)
        else:
            self.scripts_are_flushed()

    @precondition(lambda self: self.with_damage)
    @rule(queue=queues, place=places, number=st.integers(0, 8), group=groups)
    def something_breaks(self, queue: str, place: int, number: int, group: str) -> None:
        task_id = self.some_id(queue, place)
        if number == 7:
            self.lock_is_given(queue, place % 2, task_id)
        elif number == 8:
            self.group_is_forgotten(queue, group)
        else:
            break_it = (
                *(self.lease_vanishes, self.hash_vanishes, self.message_is_garbled, self.id_is_doubled),
                *(self.id_leaves_active, self.message_vanishes, self.id_leaves),
            )[number]
            break_it(queue, task_id)

    def lock_ends(self, queue: str, number: int) -> None:
        """Its time is Redis's own, so it is taken away."""
        key = self.lock_key(queue, number)
        if self.model(queue).locks.pop(key, None):
            self.damage("DEL", key)

    def scripts_are_flushed(self) -> None:
        self.damage("SCRIPT", "FLUSH")

    def damage(self, *command: str) -> None:
        self.world.run(self.scene.lane.call(*command))

    @precondition(lambda self: self.with_damage)
    @rule(place=places, is_copy=st.booleans())
    def fetch_what_is_none(self, place: int, is_copy: bool) -> None:
        """Fetch an ID that stands in the list a second time, or one that has lost its message."""
        task_id = self.some_id("q", place)
        if is_copy:
            self.id_is_doubled("q", task_id)
        elif task_id in self.model("q").pending:
            self.message_vanishes("q", task_id)
        self.scene.check()
        self.dequeue("q", 10)

    def lease_vanishes(self, queue: str, task_id: str) -> None:
        model = self.model(queue)
        if task_id in model.lease and task_id in model.active and task_id not in model.pending:
            del model.lease[task_id]
            self.harm("lease vanishes", queue, task_id, "ZREM", QueueKeys(queue).lease, task_id)

    def harm(self, what: str, queue: str, task_id: str, *command: str) -> None:
        self.scene.note(what, queue, (task_id,))
        self.scene.damaged.add((queue, task_id))
        self.damage(*command)

    def hash_vanishes(self, queue: str, task_id: str) -> None:
        if self.model(queue).hashes.pop(task_id, None):
            self.harm("hash vanishes", queue, task_id, "DEL", QueueKeys(queue).task(task_id))

    def message_vanishes(self, queue: str, task_id: str) -> None:
        if self.model(queue).hashes.get(task_id, {}).pop("msg", None):
            self.harm("message vanishes", queue, task_id, "HDEL", QueueKeys(queue).task(task_id), "msg")

    def message_is_garbled(self, queue: str, task_id: str) -> None:
        fields = self.model(queue).hashes.get(task_id, {})
        if "msg" in fields:
            fields["msg"] = b"\xff\xff"
            self.scene.note("garble", queue, (task_id,))
            self.scene.damaged.add((queue, task_id))
            call = self.scene.lane.call("HSET", QueueKeys(queue).task(task_id), "msg", b"\xff\xff")
            self.world.run(call)

    def id_is_doubled(self, queue: str, task_id: str) -> None:
        model = self.model(queue)
        is_somewhere = (
            model.pending.count(task_id) == 1
            or (task_id in model.active and task_id in model.lease)
            or any(task_id in members for members in model.sets.values())
        )
        if is_somewhere and self.is_whole(queue, task_id):
            model.pending.append(task_id)
            self.harm("double", queue, task_id, "LPUSH", QueueKeys(queue).pending, task_id)

    def id_leaves_active(self, queue: str, task_id: str) -> None:
        model = self.model(queue)
        if task_id in model.active and self.is_whole(queue, task_id):
            model.active.remove(task_id)
            self.harm("leave active", queue, task_id, "LREM", QueueKeys(queue).active, "0", task_id)

    def id_leaves(self, queue: str, task_id: str) -> None:
        """It stands no more where it waits, so nobody will ever see it."""
        model, k = self.model(queue), QueueKeys(queue)
        if not self.is_whole(queue, task_id):
            return
        if task_id in model.pending:
            model.pending.remove(task_id)
            self.harm("leave", queue, task_id, "LREM", k.pending, "0", task_id)
            return
        for key, members in (
            *((k.prefix + name, members) for name, members in model.sets.items()),
            *((k.group(name), members) for name, members in model.groups.items()),
            *model.taken.items(),
        ):
            if task_id in members:
                del members[task_id]
                self.harm("leave", queue, task_id, "ZREM", key, task_id)
        model.groups = {name: members for name, members in model.groups.items() if members}
        model.taken = {key: members for key, members in model.taken.items() if members}

    def lock_is_given(self, queue: str, number: int, task_id: str) -> None:
        """To a task that does not name it: as where its holder was lost, and the ID used again."""
        model, key = self.model(queue), self.lock_key(queue, number)
        if task_id in model.hashes and key not in model.locks and key not in self.names(queue, task_id):
            model.locks[key] = Lock(task_id, LOCK_MS[0])
            self.harm("lock given", queue, task_id, "SET", key, task_id, "PX", str(LOCK_MS[0]))

    def names(self, queue: str, task_id: str) -> tuple[str, str]:
        """The locks that a task names: in its hash, and in its message."""
        fields = self.model(queue).hashes.get(task_id, {})
        return fields.get("unique_key", b"").decode(), _lock_of(fields.get("msg", b""))

    def group_is_forgotten(self, queue: str, group: str) -> None:
        if group in self.model(queue).listed_groups:
            self.model(queue).listed_groups.remove(group)
            self.scene.note("group forgotten", queue)
            self.damage("SREM", QueueKeys(queue).groups, group)

    @precondition(lambda self: self.with_damage)
    @rule(queue=queues)
    def doctor(self, queue: str) -> None:
        """After a repair all is in order, what was in order is as it was, and no task is gone."""
        self.scene.note("repair", queue)
        self.advance(LEASE + 1)  # while a lease lasts, its worker may settle things by itself
        before = self.scene.look()
        for _ in range(3):
            if not self.world.run(self.mend(queue)):
                break
        else:
            raise AssertionError("three repairs were not enough")
        after = self.scene.look()
        model = self.model(queue)
        lasting = {
            (queue, task_id) for task_id, fields in model.hashes.items() if not _is_message(fields.get("msg"))
        }
        # a second copy in the list is left to whoever fetches it: nothing runs twice (F64)
        lasting |= {(queue, task_id) for task_id in model.pending if model.pending.count(task_id) > 1}
        others = {damaged for damaged in self.scene.damaged if damaged[0] != queue}
        found = violations(after, damaged=lasting | others, counters_roll_over=True)
        assert not found, "after a repair:\n" + "\n".join(found)
        self.check_untouched(queue, before, after)
        self.scene.adopt(queue, after)
        self.scene.damaged |= lasting

    async def mend(self, queue: str) -> int:
        survey, k = self.scene.survey, QueueKeys(queue)
        keys = [key.decode() for key in await self.scene.lane.call("KEYS", k.prefix + "*")]
        task_ids = [key.removeprefix(k.task_prefix).encode() for key in keys if key.startswith(k.task_prefix)]
        group_names = [
            key.removeprefix(k.group_prefix).encode() for key in keys if key.startswith(k.group_prefix)
        ]
        lock_keys = [key.encode() for key in keys if key.startswith(k.prefix + "unique:")]
        mended = 0
        damages: list[Damage | None] = [*await survey.tasks(queue, sample=100)]
        damages.append(await survey.leases(queue, sample=100))
        for damage in damages:
            mended += await survey.mend(damage) if damage else 0
        for damage in (
            await survey.lost_tasks(queue, task_ids),
            await survey.lost_locks(queue, lock_keys),
            await survey.unlisted_groups(queue, group_names),
        ):
            mended += await survey.mend(damage) if damage else 0
        return mended

    def check_untouched(self, queue: str, before: Snapshot, after: Snapshot) -> None:
        k = QueueKeys(queue)
        for key, entry in before.items():
            task_id = key.removeprefix(k.task_prefix)
            if not key.startswith(k.prefix):
                assert after.get(key) is not None
                assert after[key].value == entry.value, f"a repair of {queue} touched {key}"
            elif key.startswith(k.task_prefix) and (queue, task_id) not in self.scene.damaged:
                assert key in after, f"a repair lost {task_id}"
                assert after[key].value == entry.value, f"a repair touched {task_id}, which was in order"
            elif key.startswith(k.task_prefix) and b"msg" in entry.value:
                assert key in after, f"a repair lost {task_id}"
            elif key.startswith(k.prefix + "unique:"):
                holder = entry.value.decode()
                is_held = (queue, holder) not in self.scene.damaged
                assert key in after or not is_held, f"a repair freed the lock of {holder}"

    # -- Go ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.with_go)
    @rule(queue=queues, spec=st.tuples(ids, st.sampled_from((None, 0, 1))))
    def go_enqueue(self, queue: str, spec: Spec) -> None:
        new = self.new(queue, *spec)
        model, go = self.model(queue), self.scene.go[queue]
        if new.lock and new.id in model.hashes:
            return  # Go would leave a lock behind
        self.scene.registered.add(queue)
        (expected,) = model.enqueue([new], self.scene.now_ns)
        real = (
            go.enqueue_unique(new.id, new.message, new.lock, new.lock_ms // 1000, self.scene.now_ns)
            if new.lock
            else go.enqueue(new.id, new.message, self.scene.now_ns)
        )
        self.agree("Go enqueue", queue, [new.id], real, expected)

    @precondition(lambda self: self.with_go)
    @rule(queue=queues, task_id=ids, delay=delays)
    def go_schedule(self, queue: str, task_id: str, delay: int) -> None:
        new, at = self.new(queue, task_id), self.scene.now + delay
        self.scene.registered.add(queue)
        (expected,) = self.model(queue).schedule([(new, at, "")])
        real = self.scene.go[queue].schedule(task_id, new.message, at)
        self.agree("Go schedule", queue, [task_id], real, expected)

    @precondition(lambda self: self.with_go)
    @rule(queue=queues)
    def go_dequeue(self, queue: str) -> None:
        model = self.model(queue)
        if model.pending and not self.is_whole(queue, model.pending[0]):
            return  # Go takes whatever it is
        expires_at = self.scene.now + LEASE
        taken = model.dequeue(1, expires_at, 0)
        expected = taken[0][1] if taken else None
        real = self.scene.go[queue].dequeue(expires_at)
        self.agree("Go dequeue", queue, [task_id for task_id, *_ in taken or ()], real, expected)
        self.remember(queue, [Claim(task_id, 0, message) for task_id, message, *_ in taken or ()])

    @precondition(lambda self: self.with_go)
    @rule(
        queue=queues, pick=pick, outcome=st.sampled_from(("done", "complete", "retry", "archive", "requeue"))
    )
    def go_report(self, queue: str, pick: int, outcome: str) -> None:
        """A worker of Go ends a task that is its own: it would not notice if it were not (M3)."""
        model, go, now, day = self.model(queue), self.scene.go[queue], self.scene.now, self.scene.day
        for claim in self.reports(queue, [pick]):
            is_own = claim.token == 0 and model.owns(claim) and claim.id in model.active
            if not is_own and self.go_is_careless:
                with suppress(BrokerError):  # "NOT FOUND", after it has changed what it found (M3)
                    self.world.run(go.done(claim.id, _lock_of(claim.message), now))
            if not is_own or not self.is_whole(queue, claim.id):
                return
            lock, message, crashes = _lock_of(claim.message), self.changed(claim), None
            crashes = model.hashes[claim.id].get("crashes")
            real: Coroutine[Any, Any, None]
            match outcome:
                case "done":
                    model.done([(claim, lock)], now, day)
                    real = go.done(claim.id, lock, now)
                case "complete":
                    model.complete([(claim, lock, message, now + 10)], now, day)
                    real = go.complete(claim.id, lock, message, now + 10, now)
                case "retry":
                    model.retry([(claim, message, now + 20, True)], now, day)
                    real = go.retry(claim.id, message, now + 20, True, now)
                case "archive":
                    archived = model.sets["archived"]
                    if len(archived) > 1 or any(at <= now - SMALL.archive_age for at in archived.values()):
                        return  # Go would leave locks of forgotten tasks behind
                    model.archive([(claim, message)], now, day)
                    real = go.archive(claim.id, message, now)
                case _:
                    model.requeue([claim], self.scene.now_ns)
                    del model.hashes[claim.id]["pending_since"]
                    real = go.requeue(claim.id)
            if crashes and outcome in ("complete", "retry", "archive"):
                model.hashes[claim.id]["crashes"] = crashes  # a field that Go does not know
            self.settle_counters(model)
            self.agree(f"Go {outcome}", queue, [claim.id], real, None)

    def settle_counters(self, model: QueueModel) -> None:
        """Go lets counters start again at the very highest number, we just before it."""
        if (
            model.counters.get("processed") == 1
            and self.world.run(self.scene.lane.call("GET", QueueKeys(model.name).processed))
            == str(SMALL.max_int64 - 1).encode()
        ):
            model.counters["processed"] = SMALL.max_int64

    @precondition(lambda self: self.with_go)
    @rule(queue=queues, act=st.sampled_from(("scheduled", "retry", "recover", "expire")))
    def go_upkeep(self, queue: str, act: str) -> None:
        match act:
            case "recover":
                self.go_recover(queue)
            case "expire":
                self.go_expire(queue, 2)
            case _:
                self.go_forward(queue, act)

    def go_forward(self, queue: str, state: str) -> None:
        model, now = self.model(queue), self.scene.now
        waiting = model.sets[state]
        due = [task_id for task_id, at in waiting.items() if at <= now]
        if any("msg" not in model.hashes.get(i, {}) or "group" in model.hashes[i] for i in due):
            return  # Go makes a ghost of the one, and does not list the group of the other
        due.sort(key=lambda task_id: (waiting[task_id], task_id))
        for task_id in due:
            del waiting[task_id]
            model.pending.append(task_id)
            pending_since = str(self.scene.now_ns).encode()
            model.hashes[task_id].update(state=b"pending", pending_since=pending_since)
        real = self.scene.go[queue].forward(state, now, self.scene.now_ns)
        self.agree("Go forward", queue, due, real, len(due))

    def go_recover(self, queue: str) -> None:
        """Go's recoverer lists what is over for 30 s, and lets the first of it be retried."""
        model, now = self.model(queue), self.scene.now
        over = sorted((at, task_id) for task_id, at in model.lease_scores() if at <= now - 30)
        told = [model.hashes[task_id]["msg"] for _, task_id in over if "msg" in model.hashes.get(task_id, {})]
        real = self.scene.go[queue].expired_leases(now - 30)
        self.agree("Go expired", queue, (), real, told)
        task_ids = [task_id for _, task_id in over if self.is_whole(queue, task_id)]
        if task_ids:
            task_id = task_ids[0]
            claim = Claim(task_id, model.lease[task_id][1], model.hashes[task_id]["msg"])
            message, crashes = self.changed(claim), model.hashes[task_id].get("crashes")
            model.retry([(claim, message, now + 20, True)], now, self.scene.day)
            if crashes:
                model.hashes[task_id]["crashes"] = crashes
            self.settle_counters(model)
            retrying = self.scene.go[queue].retry(task_id, message, now + 20, True, now)
            self.agree("Go recover", queue, [task_id], retrying, None)

    def go_expire(self, queue: str, batch: int) -> None:
        over = list(self.model(queue).sets["completed"])
        expected = self.model(queue).expire(self.scene.now, batch)
        self.agree("Go expire", queue, over, self.scene.go[queue].expire(self.scene.now, batch), expected)

    # -- after every step -------------------------------------------------------------------------------

    @invariant()
    def redis_is_what_the_model_says(self) -> None:
        self.scene.check()


def _ids(things: Iterable[New | Claim]) -> list[str]:
    return [thing.id for thing in things]


def _owned(claim: Claim) -> Owned:
    return Owned(claim.id, claim.token)


def _bools(answers: Sequence[int]) -> list[bool]:
    return [answer == 1 for answer in answers]


def _place(queue: str, state: str, group: str) -> Place:
    return Place(queue, TaskState(state), group if state == "aggregating" else "")


def _is_message(data: bytes | None) -> bool:
    try:
        return data is not None and bool(TaskMessage.FromString(data).id)
    except DecodeError:
        return False


def _lock_of(message: bytes) -> str:
    try:
        return TaskMessage.FromString(message).unique_key
    except DecodeError:
        return ""
