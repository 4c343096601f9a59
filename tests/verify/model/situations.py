"""Rare situations, which a walk hardly comes by, built in a few steps; they end in those that matter there.

What builds a situation is compared, too, as it is made of the machine's own steps. One thing is set by hand,
as it would need hundreds of steps: how far a counter is. What breaks are the damages of the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from asynq_py.broker.groups import Rules, TakenSet
from asynq_py.broker.inspection import Place
from asynq_py.broker.survey import Damage, Fault
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.state import TaskState
from tests.verify.model.machine import IDS, LEASE, Machine, Spec, groups, ids, queues
from tests.verify.model.queue_model import New
from tests.verify.model.world import SMALL

ENDS: Final = (  # the ways to end a try, and two that go on with it
    *("done", "done", "complete", "retry", "archive", "requeue", "postpone"),
    *("extend", "write_result"),
)
RULES: Final = (
    *(Rules(60), Rules(20), Rules(1000, delay=30), Rules(1000, size=2)),
    Rules(20, delay=100, size=3),
)
MANY: Final = 10  # more than there are


class Draw(NamedTuple):
    """What Hypothesis draws for one. `ids`: all there are, in some order. `n`: 0 … 11, for whatever."""

    queue: str
    ids: list[str]
    group: str
    n: int
    flag: bool


draws = st.builds(
    Draw, queue=queues, ids=st.permutations(IDS), group=groups, n=st.integers(0, 11), flag=st.booleans()
)
numbers = st.integers(0, 199)


class Situations(Machine):
    """The machine, which now and then comes into one of these. `about`: a script; then each run begins in a
    situation that concerns it.
    """

    about: ClassVar[str] = ""

    def chosen(self, number: int) -> str:
        names = sorted(
            name for name, (_, scripts) in SITUATIONS.items() if not self.about or self.about in scripts
        )
        return names[number % len(names)] if names else sorted(SITUATIONS)[number % len(SITUATIONS)]

    @initialize(
        specs=st.lists(st.tuples(ids, st.sampled_from((None, 0, 1))), min_size=3, max_size=6),
        number=numbers,
        draw=draws,
        is_guided=st.booleans(),
    )
    def begin(self, specs: list[Spec], number: int, draw: Draw, is_guided: bool) -> None:
        if self.about or is_guided:
            self.play(number, draw)
        else:
            self.enqueue_these("q", [self.new("q", *spec) for spec in specs], repeated=False)

    @rule(number=numbers, draw=draws)
    def situation(self, number: int, draw: Draw) -> None:
        self.play(number, draw)

    def play(self, number: int, draw: Draw) -> None:
        name = self.chosen(number)
        self.scene.note(f"situation: {name}", draw.queue)
        SITUATIONS[name][0](self, draw)

    # -- steps ------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.scene.check()

    def put(self, queue: str, *tasks: New) -> None:
        self.enqueue_these(queue, list(tasks), repeated=False)
        self.check()

    def put_plain(self, queue: str, task_ids: list[str]) -> None:
        self.put(queue, *(self.new(queue, task_id) for task_id in task_ids))

    def start(self, queue: str, task_ids: list[str]) -> int:
        """Let these be active, and what else is pending. Returns how many claims are new."""
        self.put_plain(queue, task_ids)
        return self.take(queue)

    def take(self, queue: str) -> int:
        count = self.dequeue(queue, MANY)
        self.check()
        return count

    def way(self, n: int, among: Sequence[int] = range(len(ENDS))) -> int:
        """One of these ways to end a try: the one that the run is about, if it is about one."""
        wanted = ENDS.index(self.about) if self.about in ENDS else -1
        return wanted if wanted in among else among[n % len(among)]

    def end(self, queue: str, count: int, how: int) -> None:
        """Report of the claims that came last. `how`: one of ENDS."""
        picks = list(range(count))
        if not picks:
            return
        match how % len(ENDS):
            case 0 | 1:
                self.done(queue, picks)
            case 2:
                self.complete(queue, picks, 10)
            case 3:
                self.retry(queue, picks, 1, True)
            case 4:
                self.archive(queue, picks)
            case 5:
                self.requeue(queue, picks)
            case 6:
                self.postpone(queue, picks, 20)
            case 7:
                self.extend(queue, picks)
            case _:
                for pick in picks:
                    self.write_result(queue, [pick])
                    self.check()
        self.check()

    def place_of(self, queue: str, task_id: str) -> int:
        known = sorted(self.model(queue).hashes)
        return known.index(task_id) if task_id in known else 0

    def lose(self, queue: str, task_id: str, n: int) -> None:
        """Lose its hash, its message, or what the message says."""
        (self.hash_vanishes, self.message_vanishes, self.message_is_garbled)[n % 3](queue, task_id)
        self.check()

    def fill_group(self, draw: Draw, count: int, *, unique: bool = False) -> list[str]:
        """Put some tasks into a group, at different times; the first two may be unique."""
        for place, task_id in enumerate(draw.ids[:count]):
            lock = place if unique and place < 2 else None
            self.add_these(
                draw.queue, [(self.new(draw.queue, task_id, lock, draw.group), draw.group)], repeated=False
            )
            self.check()
            self.advance(2)
        return draw.ids[:count]

    def take_group(self, draw: Draw) -> TakenSet | None:
        """Take its set, at the very second at which it is due."""
        before = self.taken_sets[:1]
        self.group_comes_of_age(draw.queue, draw.group, RULES[draw.n % len(RULES)], 0)
        self.check()
        return self.taken_sets[0] if self.taken_sets[:1] != before else None

    # -- of the life of a task --------------------------------------------------------------------------

    def a_life(self, draw: Draw) -> None:
        """From the client to one of the ends, and what follows it."""
        queue = draw.queue
        self.put(
            queue, *(self.new(queue, i, lock) for i, lock in zip(draw.ids[:3], (0, None, 1), strict=True))
        )
        if draw.flag:
            self.repeat_request_of(queue)
        first = self.dequeue(queue, 1) if draw.n % 2 else 0
        self.check()
        count = self.take(queue)
        self.end(queue, first + count, self.way(draw.n))
        self.repeat_dequeue(queue)
        self.check()
        self.advance_to_what_is_next(queue, draw.n % 3, 0)
        self.check()
        self.forward(queue)
        self.check()
        self.expire(queue, 100)
        self.check()
        self.end(queue, self.take(queue), draw.n + 1)

    def repeat_request_of(self, queue: str) -> None:
        """The answer was lost; of some, meanwhile, another has taken the ID, or the lock."""
        fresh = [self.new(queue, IDS[3]), self.new(queue, IDS[4], 0)]
        self.put(queue, *fresh)
        self.enqueue_these(queue, fresh, repeated=True)
        self.check()

    def a_few_of_many(self, draw: Draw) -> None:
        """Some that run end; those before and behind them in the list go on."""
        self.start(draw.queue, draw.ids[:5])
        self.claims[draw.queue].sort(key=lambda claim: draw.ids.index(claim.id) * (5 if draw.flag else 1) % 7)
        self.end(draw.queue, 1 + draw.n % 3, self.way(draw.n))

    def a_late_report(self, draw: Draw) -> None:
        """Somebody else has the task by now: nothing may change."""
        queue, count = draw.queue, self.start(draw.queue, draw.ids[:2])
        self.advance(LEASE + 1)
        self.recover(queue, 0)
        self.check()
        again = self.take(queue)
        self.end(queue, count + again, self.way(draw.n))

    def a_lock_that_changed_hands(self, draw: Draw) -> None:
        """Its time is over, and another task has it."""
        queue, (one, other) = draw.queue, draw.ids[:2]
        self.put(queue, self.new(queue, one, 0))
        if draw.flag:
            self.take(queue)
        self.lock_ends(queue, 0)
        self.put(queue, self.new(queue, other, 0))
        if draw.flag:
            self.end(queue, 1, self.way(draw.n, (0, 2)))
        elif draw.n % 2:
            self.delete_task(queue, one)
        else:
            self.end(queue, self.take(queue), self.way(draw.n))

    def a_counter_near_its_end(self, draw: Draw) -> None:
        queue, k, model = draw.queue, QueueKeys(draw.queue), self.model(draw.queue)
        count = self.start(queue, draw.ids[: 1 + draw.flag])
        model.counters["processed"] = SMALL.max_int64 - max(count, 1) - draw.n % 2
        model.counters["failed"] = draw.n
        for name in ("processed", "failed"):
            self.damage("SET", k.prefix + name, str(model.counters[name]))
        self.check()
        self.end(queue, count, self.way(draw.n, (0, 2, 3, 4)))

    def a_full_archive(self, draw: Draw) -> None:
        """Six of which four are kept; with time between them, or a lock that another task has by now."""
        queue = draw.queue
        specs = list(zip(draw.ids, (0, 1, *(None,) * 4), strict=True))
        self.put(queue, *(self.new(queue, *spec) for spec in specs[:4]))
        self.end(queue, self.take(queue), 4)
        if draw.flag:
            self.advance_to_what_is_next(queue, 3, -(draw.n % 2))
        self.put(queue, *(self.new(queue, *spec) for spec in specs[4 : 5 + draw.n % 2]))
        if draw.n < 3 and self.about != "archive":
            for task_id in draw.ids[4:]:
                self.archive_task(queue, task_id)
                self.check()
        elif draw.n < 6 and self.about != "archive":
            self.archive_all(queue, "pending", "")
        else:
            self.end(queue, self.take(queue), 4)

    def many_are_due(self, draw: Draw) -> None:
        """More than a step moves; of those that wait for a retry, or belong to a group, too."""
        queue, at = draw.queue, self.scene.now + 5
        group = draw.group if draw.flag else ""
        if draw.n % 2:
            self.end(queue, self.start(queue, draw.ids[:5]), 3)
        else:
            self.schedule_these(
                queue, [(self.new(queue, i, None, group), at, group) for i in draw.ids[:5]], repeated=False
            )
        self.check()
        self.advance_to_what_is_next(queue, draw.n % 2, -(draw.n % 3 == 2))
        for _ in range(3):
            self.check()
            self.forward(queue)

    def an_end_of_retention(self, draw: Draw) -> None:
        queue = draw.queue
        self.end(queue, self.start(queue, draw.ids[: 2 + draw.flag]), 2)
        self.advance_to_what_is_next(queue, 2, -(draw.n % 2))
        self.expire(queue, 1 + draw.n % 3)

    def a_tick_again(self, draw: Draw) -> None:
        """Of another scheduler, of the same one, at once, or when it is the next one's time."""
        queue, spec = draw.queue, (draw.ids[0], 0 if draw.flag else None)
        kind = ("pending", "scheduled", "aggregating")[draw.n % 3]
        self.tick(queue, spec, "e", 0, 0, kind, "1")
        self.check()
        spacing = 10 * (draw.n % 2)
        self.advance((0, 1, 9, 10)[draw.n // 3])
        self.tick(
            queue, (draw.ids[1], 0), "e", (0, 0, 1)[draw.n % 3], spacing, kind, "2" if draw.flag else "1"
        )

    def one_that_runs_is_pending(self, draw: Draw) -> None:
        queue = draw.queue
        self.start(queue, draw.ids[:2])
        self.id_is_doubled(queue, draw.ids[0])
        self.check()
        match draw.n % 3:
            case 0:
                self.archive_all(queue, "pending", "")
            case 1:
                self.delete_all(queue, "pending", "")
            case _:
                self.take(queue)

    def twice_in_pending(self, draw: Draw) -> None:
        queue = draw.queue
        self.put_plain(queue, draw.ids[:3])
        self.id_is_doubled(queue, draw.ids[0])
        self.check()
        self.take(queue)

    def one_pending_waits_elsewhere(self, draw: Draw) -> None:
        queue = draw.queue
        if draw.n % 3:
            self.end(queue, self.start(queue, draw.ids[:1]), draw.n % 3 + 2)
        else:
            self.schedule_these(
                queue, [(self.new(queue, draw.ids[0]), self.scene.now + 50, "")], repeated=False
            )
        self.model(queue).pending.append(draw.ids[0])
        self.harm("double", queue, draw.ids[0], "LPUSH", QueueKeys(queue).pending, draw.ids[0])
        self.check()
        self.take(queue)

    def a_pause(self, draw: Draw) -> None:
        self.put_plain(draw.queue, draw.ids[:2])
        self.turn_pause(draw.queue, draw.flag)
        self.check()
        self.take(draw.queue)

    def a_removal(self, draw: Draw) -> None:
        """Of a queue in which something runs, waits, or does not."""
        queue = draw.queue
        match draw.n % 6:
            case 0:
                self.start(queue, draw.ids[:1])
            case 1:
                self.put(queue, self.new(queue, draw.ids[0], 0))
            case 2:
                self.fill_group(draw, 2, unique=True)
            case 3:
                self.fill_group(draw, 2)
                self.take_group(draw)
            case _:
                self.end(queue, self.start(queue, draw.ids[:1]), draw.n % 3 + 2)
        self.remove_queue(queue, draw.flag)

    # -- of what is lost --------------------------------------------------------------------------------

    def a_ghost_runs(self, draw: Draw) -> None:
        """What is left of it meets each way to end a try, and who takes over."""
        queue, count = draw.queue, self.start(draw.queue, draw.ids[:3])
        self.lose(queue, draw.ids[draw.n % 2], draw.flag)
        if draw.n > 8 or self.about == "recover":
            self.advance(LEASE + 1)
            self.recover(queue, 0)
            self.check()
            self.recover(queue, 0)
        elif draw.n == 8:
            self.write_result(queue, [draw.n % 2])
            self.check()
            self.write_result(queue, [1 - draw.n % 2])
        else:
            self.end(queue, count, self.way(draw.n))

    def a_result_of_a_ghost(self, draw: Draw) -> None:
        count = self.start(draw.queue, draw.ids[:1])
        self.lose(draw.queue, draw.ids[0], draw.n % 2)
        self.end(draw.queue, count, 8)

    def a_ghost_waits(self, draw: Draw) -> None:
        """In pending, scheduled or retry, or a group; and its time comes."""
        queue, lost = draw.queue, draw.ids[0]
        match draw.n % 4:
            case 0:
                self.put_plain(queue, draw.ids[:2])
            case 1:
                tasks = [(self.new(queue, i), self.scene.now + 5, "") for i in draw.ids[:2]]
                self.schedule_these(queue, tasks, repeated=False)
            case 2:
                self.end(queue, self.start(queue, draw.ids[:2]), 3)
            case _:
                self.fill_group(draw, 2)
        self.check()
        self.lose(queue, lost, draw.flag)
        match draw.n:
            case 0 | 4:
                self.take(queue)
            case 1 | 2 | 5 | 6:
                self.advance(6)
                self.forward(queue)
            case 3 | 7:
                self.run_all(queue, "aggregating", draw.group)
            case _:
                state = ("pending", "scheduled", "retry", "aggregating")[draw.n % 4]
                (self.archive_all if draw.flag else self.delete_all)(queue, state, draw.group)

    def out_of_active(self, draw: Draw) -> None:
        """It has a lease, which ends, but does not stand in the list of those that run."""
        queue = draw.queue
        self.start(queue, draw.ids[:2])
        self.id_leaves_active(queue, draw.ids[draw.flag])
        self.check()
        self.advance(LEASE + 1)
        self.recover(queue, 0)

    def a_dead_worker(self, draw: Draw) -> None:
        """The leases of more tasks than a step hands back; they end at different times."""
        queue = draw.queue
        for task_ids in (draw.ids[:2], draw.ids[2 : 3 + draw.n % 3]):
            self.start(queue, task_ids)
            self.advance(3)
        self.advance(LEASE - 3 if draw.flag else LEASE + 1)
        for skew in (5, 0, 0):
            self.recover(queue, skew)
            self.check()

    def leases_vanish(self, draw: Draw) -> None:
        queue = draw.queue
        self.start(queue, draw.ids[:5])
        for task_id in draw.ids[draw.flag : 2 + draw.n % 3]:
            self.lease_vanishes(queue, task_id)
        self.check()
        self.reclaim(queue, draw.ids[4:])

    # -- of groups --------------------------------------------------------------------------------------

    def a_set_is_finished(self, draw: Draw) -> None:
        self.fill_group(draw, 2 + draw.flag, unique=draw.n % 2 == 0)
        if self.take_group(draw):
            into = ("", "pending", "scheduled", "aggregating")[draw.n % 4]
            self.finish_set(0, (draw.ids[5], None), into)

    def a_set_is_looked_at_early(self, draw: Draw) -> None:
        """One second before it is due, and then."""
        self.fill_group(draw, 2 + draw.flag)
        for off in (-1, 0):
            self.group_comes_of_age(draw.queue, draw.group, RULES[draw.n % len(RULES)], off)
            self.check()

    def a_task_is_set_aside(self, draw: Draw) -> None:
        """And whoever knows the set as it was before may not finish it."""
        self.fill_group(draw, 3)
        taken = self.take_group(draw)
        if not taken:
            return
        self.set_aside(0, draw.n % 3)
        self.check()
        before = self.taken_sets.index(taken)
        self.finish_set(before, (draw.ids[5], None), "pending" if draw.flag else "")
        self.check()
        self.finish_set(0, (draw.ids[4], None), "pending")

    def a_set_goes_back(self, draw: Draw) -> None:
        """And whoever had taken it may not finish it; its group may have ended meanwhile, or got others."""
        queue, group = draw.queue, draw.group
        self.fill_group(draw, 3, unique=draw.n > 5)
        if not self.take_group(draw):
            return
        if draw.n % 3:
            late = draw.ids[4]
            self.add_these(queue, [(self.new(queue, late, None, group), group)], repeated=False)
            self.check()
            if draw.n % 3 == 2:
                self.run_task(queue, late)
                self.check()
        if draw.flag:
            self.give_up(0)
        else:
            self.advance_to_what_is_next(queue, 4, 0)
        self.check()
        self.reclaim_sets(queue)
        self.check()
        self.finish_set(0, (draw.ids[5], None), "pending")

    def a_ghost_in_a_set(self, draw: Draw) -> None:
        queue, lost = draw.queue, draw.ids[draw.n % 2]
        self.fill_group(draw, 2 + draw.flag, unique=draw.n > 5)
        if not self.take_group(draw):
            return
        self.lose(queue, lost, draw.n % 3 == 0)
        if draw.n % 4 < 2:
            self.give_up(0)
            self.check()
            self.reclaim_sets(queue)
        else:
            self.finish_set(0, (draw.ids[5], None), "pending" if draw.flag else "")

    def an_id_of_a_set_lives_elsewhere(self, draw: Draw) -> None:
        """Its hash was lost, and a client used its ID again."""
        queue, lost = draw.queue, draw.ids[draw.n % 2]
        self.fill_group(draw, 2)
        if not self.take_group(draw):
            return
        self.lose(queue, lost, 0)
        if draw.flag:
            self.put(queue, self.new(queue, lost, draw.n % 2))
        else:
            self.schedule_these(queue, [(self.new(queue, lost), self.scene.now + 50, "")], repeated=False)
            self.check()
        self.finish_set(0, (draw.ids[5], None), "pending" if draw.n % 3 else "")

    def the_last_leaves_its_group(self, draw: Draw) -> None:
        queue, (one, *_) = draw.queue, self.fill_group(draw, 1 + draw.n % 2, unique=draw.flag)
        match draw.n // 2:
            case 0 | 1:
                self.run_task(queue, one)
            case 2:
                self.archive_task(queue, one)
            case 3:
                self.delete_task(queue, one)
            case 4:
                (self.run_all if draw.flag else self.archive_all)(queue, "aggregating", draw.group)
            case _:
                self.delete_all(queue, "aggregating", draw.group)

    # -- by hand ----------------------------------------------------------------------------------------

    def more_than_a_step(self, draw: Draw) -> None:
        """Of what concerns all tasks of a state: five of them, where a step covers three."""
        queue, states = draw.queue, ("pending", "scheduled", "retry", "archived", "completed", "aggregating")
        state = states[draw.n % 6]
        match state:
            case "pending":
                self.put(
                    queue,
                    *(
                        self.new(queue, i, lock)
                        for i, lock in zip(draw.ids[:5], (0, 1, *(None,) * 3), strict=True)
                    ),
                )
            case "scheduled":
                tasks = [(self.new(queue, i), self.scene.now + 50, "") for i in draw.ids[:5]]
                self.schedule_these(queue, tasks, repeated=False)
            case "aggregating":
                self.fill_group(draw, 5, unique=True)
            case _:
                how = {"retry": 3, "archived": 4, "completed": 2}[state]
                self.end(queue, self.start(queue, draw.ids[:5]), how)
        self.check()
        if draw.flag or state == "completed":
            self.delete_all(queue, state, draw.group)
        elif state in ("pending", "scheduled", "retry", "aggregating") and draw.n < 6:
            self.archive_all(queue, state, draw.group)
        elif state != "pending":
            self.run_all(queue, state, draw.group)
        else:
            self.archive_all(queue, state, draw.group)

    def one_is_moved(self, draw: Draw) -> None:
        """Whatever it waits for, or while it runs."""
        queue, task_id = draw.queue, draw.ids[0]
        self.put(queue, self.new(queue, task_id, 0), self.new(queue, draw.ids[1]))
        if draw.n % 6 == 1:
            self.start(queue, [])
        elif draw.n % 6 > 1:
            self.end(queue, self.take(queue), draw.n % 6 + (draw.n % 6 == 5))
        move = (self.run_task, self.archive_task, self.delete_task)[(draw.n // 6 + draw.flag) % 3]
        move(queue, task_id)
        self.check()
        self.run_task(queue, task_id)

    def a_lock_is_moved(self, draw: Draw) -> None:
        """A scheduled task gets another payload, and so another lock: free, held, or in the place of none."""
        queue, (one, other, third) = draw.queue, draw.ids[:3]
        tasks = [(self.new(queue, one, 0), self.scene.now + 50, "")]
        self.schedule_these(queue, tasks, repeated=False)
        self.check()
        if draw.n % 2:
            self.put(queue, self.new(queue, other, 1))
        if draw.n % 3 == 1:
            self.lock_ends(queue, 0)
            self.put(queue, self.new(queue, third, 0))
        elif draw.n % 3 == 2:
            self.lock_ends(queue, draw.n % 2)
        self.update_payload(queue, self.place_of(queue, one), 1, draw.flag or draw.n > 2)
        self.check()
        if draw.n > 6:
            self.advance(60)
            self.forward(queue)
            self.check()
            self.update_payload(queue, self.place_of(queue, one), 0, True)

    # -- repairs ----------------------------------------------------------------------------------------

    def broken_and_mended(self, draw: Draw) -> None:
        """One of each damage, then the doctor."""
        queue, (one, other) = draw.queue, draw.ids[:2]
        match 5 if self.about == "list_group" else draw.n:
            case 0 | 1:
                self.put(queue, self.new(queue, one, 0), self.new(queue, other, 1))
                self.lose(queue, one, draw.flag)
            case 2:
                self.start(queue, [one, other])
                self.id_leaves_active(queue, one)
            case 3 | 4:
                self.put(queue, self.new(queue, one, 0), self.new(queue, other))
                if draw.flag:
                    self.take(queue)
                self.lock_is_given(queue, 1, other)
            case 5:
                self.fill_group(draw, 2)
                for task_id in (one, other) if draw.flag else ():
                    self.lose(queue, task_id, 0)
                self.group_is_forgotten(queue, draw.group)
            case 6:
                self.start(queue, [one, other])
                self.lease_vanishes(queue, one)
            case 7:
                self.start(queue, [one, other])
                self.lose(queue, one, draw.flag)
            case 8 | 9 | 10:
                self.lost_somewhere(draw)
            case _:
                self.put_plain(queue, [one, other])
                self.id_is_doubled(queue, one)
        self.check()
        self.doctor(queue)

    def lost_somewhere(self, draw: Draw) -> None:
        queue, one = draw.queue, draw.ids[0]
        match draw.n % 3:
            case 0:
                self.end(queue, self.start(queue, draw.ids[:2]), 2 + draw.flag)
            case 1:
                self.end(queue, self.start(queue, draw.ids[:2]), 4)
            case _:
                if draw.flag:
                    self.fill_group(draw, 2)
                else:
                    self.put_plain(queue, draw.ids[:2])
        self.id_leaves(queue, one)
        if draw.n > 5:
            self.group_is_forgotten(queue, draw.group)

    def two_places_of_one(self, draw: Draw) -> None:
        """Its hash names one of them, or neither; then the doctor."""
        queue, one, k = draw.queue, draw.ids[0], QueueKeys(draw.queue)
        if draw.n % 3:
            self.end(queue, self.start(queue, draw.ids[:2]), draw.n % 3 + 2)
        else:
            self.start(queue, draw.ids[:2])
        if draw.flag:
            self.model(queue).pending.append(one)
            self.harm("double", queue, one, "LPUSH", k.pending, one)
        else:
            self.model(queue).hashes[one]["state"] = b"completed"
            self.harm("another state", queue, one, "HSET", k.task(one), "state", "completed")
        self.check()
        self.doctor(queue)

    def a_step_of_a_repair(self, draw: Draw) -> None:
        """Each with its own effect, as what one of them leaves may be mended by another."""
        queue, (one, other) = draw.queue, draw.ids[:2]
        steps = ("drop_ghosts", "mend_leases", "free_lock", "mend_lost")
        match steps.index(self.about) if self.about in steps else draw.n % 4:
            case 0:  # of a ghost that lives again: the ID was used once more
                self.put_plain(queue, [one, other])
                self.lose(queue, one, draw.flag)
                if draw.n > 4:
                    self.put_plain(queue, [one])
                self.drop_ghosts(queue, [one, other])
            case 1:
                self.start(queue, [one, other])
                self.id_leaves_active(queue, one)
                if draw.n > 4:
                    self.lose(queue, one, draw.flag)
                if draw.flag:
                    self.advance(LEASE + 1)
                self.mend_leases(queue, [one, other])
            case 2:
                self.put(queue, self.new(queue, one, 0), self.new(queue, other))
                if draw.flag:
                    self.lock_is_given(queue, 1, other)
                    self.lose(queue, one, 0)
                self.free_locks(queue)
            case _:
                self.lost_somewhere(draw._replace(n=draw.n + 1 + draw.n // 4))
                self.check()
                self.mend_lost(queue, [one, other])

    def drop_ghosts(self, queue: str, task_ids: list[str]) -> None:
        expected = self.model(queue).drop_ghosts(task_ids)
        self.mend_step(Fault.GHOST, queue, task_ids, expected, Place(queue, TaskState.PENDING))

    def mend_leases(self, queue: str, task_ids: list[str]) -> None:
        model, scene = self.model(queue), self.scene
        expected = model.mend_leases(task_ids, scene.clock.time(), scene.now_ns)
        self.mend_step(Fault.LEASE, queue, task_ids, expected)

    def free_locks(self, queue: str) -> None:
        keys = [self.lock_key(queue, number) for number in (0, 1)]
        expected = self.model(queue).free_locks(keys, self.named_locks(queue))
        self.mend_step(Fault.LOCK, queue, keys, expected)

    def mend_lost(self, queue: str, task_ids: list[str]) -> None:
        expected = self.model(queue).mend_lost(task_ids, self.scene.now, self.scene.now_ns)
        self.mend_step(Fault.LOST, queue, task_ids, expected)

    def mend_step(
        self, fault: Fault, queue: str, names: list[str], expected: int, place: Place | None = None
    ) -> None:
        damage = Damage(fault, queue, tuple(name.encode() for name in names), place)
        self.agree(f"mend {fault}", queue, names, self.scene.survey.mend(damage), expected)


S = Situations
SITUATIONS: Final[dict[str, tuple[Callable[[Situations, Draw], None], frozenset[str]]]] = {
    play.__name__: (play, frozenset(scripts.split()))
    for play, scripts in (
        (
            S.a_life,
            "enqueue dequeue done complete retry archive requeue postpone extend write_result forward expire",
        ),
        (S.a_few_of_many, "done complete retry archive requeue postpone"),
        (S.a_late_report, "done complete retry archive requeue postpone extend write_result"),
        (S.a_lock_that_changed_hands, "enqueue done complete delete_task"),
        (S.a_counter_near_its_end, "done complete retry archive"),
        (S.a_full_archive, "archive archive_task archive_all"),
        (S.many_are_due, "schedule retry forward"),
        (S.an_end_of_retention, "complete expire"),
        (S.a_tick_again, "enqueue_tick"),
        (S.one_that_runs_is_pending, "dequeue archive_all delete_all"),
        (S.twice_in_pending, "dequeue"),
        (S.one_pending_waits_elsewhere, "dequeue"),
        (S.a_pause, "dequeue"),
        (S.a_removal, "remove_queue delete_all"),
        (S.a_ghost_runs, "done complete retry archive requeue postpone extend recover"),
        (S.a_result_of_a_ghost, "write_result"),
        (S.a_ghost_waits, "dequeue forward run_all archive_all delete_all"),
        (S.out_of_active, "recover"),
        (S.a_dead_worker, "recover"),
        (S.leases_vanish, "strays reclaim"),
        (S.a_set_is_finished, "add_to_group take_set read_set finish_set due_groups"),
        (S.a_set_is_looked_at_early, "take_set due_groups"),
        (S.a_task_is_set_aside, "set_aside finish_set"),
        (S.a_set_goes_back, "reclaim_set finish_set add_to_group"),
        (S.a_ghost_in_a_set, "reclaim_set read_set finish_set"),
        (S.an_id_of_a_set_lives_elsewhere, "read_set finish_set"),
        (S.the_last_leaves_its_group, "run_task archive_task delete_task run_all archive_all delete_all"),
        (S.more_than_a_step, "run_all archive_all delete_all schedule add_to_group"),
        (S.one_is_moved, "run_task archive_task delete_task"),
        (S.a_lock_is_moved, "update_payload schedule"),
        (S.broken_and_mended, "survey drop_ghosts mend_states mend_leases mend_lost free_lock list_group"),
        (S.two_places_of_one, "survey mend_states"),
        (S.a_step_of_a_repair, "drop_ghosts mend_leases mend_lost free_lock"),
    )
}
