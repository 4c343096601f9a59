"""What a queue does, in plain dicts and lists: the specification that the scripts are compared with.

Nothing here comes from the code of the broker, and nothing of it is called. An operation changes the model
and returns the answer that the real one must give. Times are unix seconds; IDs are text, messages bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

Fields = dict[str, bytes]

LISTS: Final = ("pending", "active")
SETS: Final = ("scheduled", "retry", "archived", "completed")


class Limits(NamedTuple):
    """The numbers of asynq_py.wire.limits, made small, so that every step and every bound is met."""

    archive_size: int = 4
    archive_age: int = 90 * 24 * 3600
    trim_batch: int = 2
    forward_batch: int = 3
    recover_batch: int = 2
    repair_batch: int = 2
    repair_depth: int = 10_000
    inspect_batch: int = 3
    reclaim_batch: int = 2
    group_set: int = 1000
    aggregation_time: int = 120
    statistics_ttl: int = 90 * 24 * 3600
    tick_ttl: int = 90 * 24 * 3600
    max_int64: int = 25


class New(NamedTuple):
    """A task to store. `lock`: key, or "". `lock_ms`: how long it lasts."""

    id: str
    message: bytes
    lock: str = ""
    lock_ms: int = 0


class Lock(NamedTuple):
    holder: str
    ms: int


class Claim(NamedTuple):
    """A task that a worker was given once: what it needs to report what became of it."""

    id: str
    token: int
    message: bytes


@dataclass(slots=True)
class Tick:
    at: int
    token: str
    answer: int


@dataclass(slots=True)
class QueueModel:
    """One queue. `pending`: next to run first. `active`: in the order of taking. Sorted sets by ID: scores.
    `lease`: by ID, when it ends and its token. `taken`: sets that are being aggregated, by key.
    """

    name: str
    limits: Limits
    hashes: dict[str, Fields] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)
    lease: dict[str, tuple[int, int]] = field(default_factory=dict)
    sets: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in SETS})
    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    listed_groups: set[str] = field(default_factory=set)
    taken: dict[str, dict[str, int]] = field(default_factory=dict)
    taken_until: dict[str, int] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    counter_ends: dict[str, int] = field(default_factory=dict)
    ticks: dict[str, Tick] = field(default_factory=dict)
    paused_at: int | None = None

    # -- new tasks --------------------------------------------------------------------------------------

    def enqueue(self, tasks: Sequence[New], now_ns: int, *, repeated: bool = False) -> list[int]:
        answers = []
        for task in tasks:
            answer = self._admit(task, repeated)
            if answer == 1:
                self._store(task, "pending")
                self._push(task.id, now_ns)
            answers.append(min(answer, 1))
        return answers

    def schedule(self, tasks: Sequence[tuple[New, int, str]], *, repeated: bool = False) -> list[int]:
        answers = []
        for task, at, group in tasks:
            answer = self._admit(task, repeated)
            if answer == 1:
                self._store(task, "scheduled", group)
                self.sets["scheduled"][task.id] = at
            answers.append(min(answer, 1))
        return answers

    def add_to_group(
        self, tasks: Sequence[tuple[New, str]], now: int, *, repeated: bool = False
    ) -> list[int]:
        answers = []
        for task, group in tasks:
            answer = self._admit(task, repeated)
            if answer == 1:
                self._store(task, "aggregating", group)
                self._wait_in(group, task.id, now)
            answers.append(min(answer, 1))
        return answers

    def tick(
        self, entry: str, at: int, spacing: int, token: str, new: New, state: str, process_at: int,
        group: str, now_ns: int,
    ) -> tuple[int, int]:  # fmt: skip
        last = self.ticks.get(entry)
        if last is not None:
            if last.token == token and last.at == at:
                return last.answer, last.at
            if at < last.at + max(spacing, 1):
                return 2, last.at
        answer = self._admit(new, repeated=False)
        if answer == 1:
            self._store(new, state, group)
            if state == "pending":
                self._push(new.id, now_ns)
            elif state == "scheduled":
                self.sets["scheduled"][new.id] = process_at
            else:
                self._wait_in(group, new.id, process_at)
        self.ticks[entry] = Tick(at, token, answer)
        return answer, at

    def _admit(self, task: New, repeated: bool) -> int:
        if task.id in self.hashes:
            return 2 if repeated and self.hashes[task.id].get("msg") == task.message else 0
        if task.lock:
            if task.lock in self.locks:
                return -1
            self.locks[task.lock] = Lock(task.id, task.lock_ms)
        return 1

    def _store(self, task: New, state: str, group: str = "") -> None:
        fields = {"msg": task.message, "state": state.encode()}
        if task.lock:
            fields["unique_key"] = task.lock.encode()
        if group:
            fields["group"] = group.encode()
        self.hashes[task.id] = fields

    def _push(self, task_id: str, now_ns: int, *, first: bool = False) -> None:
        """Let a task be pending: last in line, or first."""
        self.pending.insert(0 if first else len(self.pending), task_id)
        self._set(task_id, state=b"pending", pending_since=str(now_ns).encode())

    def _wait_in(self, group: str, task_id: str, score: int) -> None:
        self.groups.setdefault(group, {})[task_id] = score
        self.listed_groups.add(group)

    def _set(self, task_id: str, **fields: bytes) -> None:
        self.hashes.setdefault(task_id, {}).update(fields)

    # -- running tasks ----------------------------------------------------------------------------------

    def dequeue(
        self, count: int, expires_at: int, token: int, *, repeated: bool = False
    ) -> list[tuple[str, bytes, int, bytes | None]] | None:
        taken: list[tuple[str, bytes, int, bytes | None]] = []
        if repeated:
            for task_id in sorted(self.lease):
                fields = self.hashes.get(task_id, {})
                if self.lease[task_id] == (expires_at, token) and "msg" in fields:
                    taken.append((task_id, fields["msg"], int(fields.get("crashes", 0)), None))
            if taken:
                return taken
        if self.paused_at is not None:
            return None
        for _ in range(16):  # rounds in which what is no task is left out
            wanted = count - len(taken)
            looked, self.pending = self.pending[:wanted], self.pending[wanted:]
            if not looked:
                break
            good: list[str] = []
            for task_id in looked:
                fields = self.hashes.get(task_id, {})
                if "msg" not in fields:
                    self.hashes.pop(task_id, None)
                elif task_id not in good and not self._waits_elsewhere(task_id):
                    good.append(task_id)
                    taken.append(
                        (task_id, fields["msg"], int(fields.get("crashes", 0)), fields.get("pending_since"))
                    )
            for task_id in good:
                self._set(task_id, state=b"active")
                self.hashes[task_id].pop("pending_since", None)
                self.active.append(task_id)
                self.lease[task_id] = (expires_at, token)
        return taken

    def _waits_elsewhere(self, task_id: str) -> bool:
        state = self.hashes[task_id].get("state", b"pending").decode()
        if state == "active":
            return task_id in self.lease
        return task_id in self.sets.get(state, {})

    def done(self, tasks: Sequence[tuple[Claim, str]], now: int, day: str) -> list[int]:
        ours = self._release([claim for claim, _ in tasks])
        for i in ours:
            claim, lock = tasks[i]
            self._unlock(lock, claim.id)
            self.hashes.pop(claim.id, None)
        self._count(len(ours), now, day, failures=False)
        return _by_place(ours, len(tasks))

    def complete(self, tasks: Sequence[tuple[Claim, str, bytes, int]], now: int, day: str) -> list[int]:
        ours = self._release([claim for claim, *_ in tasks])
        for i in ours:
            claim, lock, message, ends_at = tasks[i]
            self.sets["completed"][claim.id] = ends_at
            self._set(claim.id, msg=message, state=b"completed")
            self.hashes[claim.id].pop("crashes", None)
            self._unlock(lock, claim.id)
        self._count(len(ours), now, day, failures=False)
        return _by_place(ours, len(tasks))

    def retry(self, tasks: Sequence[tuple[Claim, bytes, int, bool]], now: int, day: str) -> list[int]:
        ours = self._release([claim for claim, *_ in tasks])
        for i in ours:
            claim, message, at, _ = tasks[i]
            self.sets["retry"][claim.id] = at
            self._set(claim.id, msg=message, state=b"retry")
            self.hashes[claim.id].pop("crashes", None)
        self._count(sum(tasks[i][3] for i in ours), now, day, failures=True)
        return _by_place(ours, len(tasks))

    def archive(self, tasks: Sequence[tuple[Claim, bytes]], now: int, day: str) -> list[int]:
        ours = self._release([claim for claim, _ in tasks])
        for i in ours:
            claim, message = tasks[i]
            self.sets["archived"][claim.id] = now
            self._set(claim.id, msg=message, state=b"archived")
            self.hashes[claim.id].pop("crashes", None)
        if ours:
            self._trim(now, self.limits.trim_batch)
        self._count(len(ours), now, day, failures=True)
        return _by_place(ours, len(tasks))

    def requeue(self, claims: Sequence[Claim], now_ns: int) -> list[int]:
        ours = [i for i in self._release(claims) if "msg" in self.hashes.get(claims[i].id, {})]
        for i in reversed(ours):
            self._push(claims[i].id, now_ns, first=True)
        return _by_place(ours, len(claims))

    def postpone(self, tasks: Sequence[tuple[Claim, int]]) -> list[int]:
        ours = self._release([claim for claim, _ in tasks])
        ours = [i for i in ours if "msg" in self.hashes.get(tasks[i][0].id, {})]
        for i in ours:
            claim, at = tasks[i]
            self.sets["scheduled"][claim.id] = at
            self._set(claim.id, state=b"scheduled")
        return _by_place(ours, len(tasks))

    def extend(self, claims: Sequence[Claim], expires_at: int) -> list[int]:
        answers = []
        for claim in claims:
            owned = self.owns(claim)
            if owned:
                self.lease[claim.id] = (expires_at, claim.token)
            answers.append(int(owned))
        return answers

    def write_result(self, claim: Claim, result: bytes) -> bool:
        is_ours = self.owns(claim) and "msg" in self.hashes.get(claim.id, {})
        if is_ours:
            self._set(claim.id, result=result)
        return is_ours

    def owns(self, claim: Claim) -> bool:
        return claim.id in self.lease and self.lease[claim.id][1] == claim.token

    def _release(self, claims: Sequence[Claim]) -> list[int]:
        """Take what is ours off active and lease. Returns its places; of an ID twice, the last counts."""
        last = {claim.id: i for i, claim in enumerate(claims) if self.owns(claim)}
        ours = [i for i in sorted(last.values()) if claims[i].id in self.active]
        for i in ours:
            self.active.remove(claims[i].id)
            del self.lease[claims[i].id]
        return ours

    def _unlock(self, lock: str, task_id: str) -> None:
        if lock in self.locks and self.locks[lock].holder == task_id:
            del self.locks[lock]

    def _count(self, n: int, now: int, day: str, *, failures: bool) -> None:
        if not n:
            return
        names = ("processed", "failed") if failures else ("processed",)
        for name in names:
            today = f"{name}:{day}"
            if today not in self.counters:
                self.counter_ends[today] = now + self.limits.statistics_ttl
            self.counters[today] = self.counters.get(today, 0) + n
        is_full = self.counters.get("processed", 0) >= self.limits.max_int64 - n
        for name in names:
            self.counters[name] = n if is_full else self.counters.get(name, 0) + n

    def _trim(self, now: int, most: int) -> None:
        """Forget the oldest of the archive, a step at a time: what is too old, or more than it keeps."""
        archived = self.sets["archived"]
        too_old = sum(at <= now - self.limits.archive_age for at in archived.values())
        count = min(max(too_old, len(archived) - self.limits.archive_size), most)
        self._forget_archived([task_id for task_id, _ in _ordered(archived)][: max(count, 0)])

    def _forget_archived(self, ids: Sequence[str]) -> None:
        for task_id in ids:
            self._unlock(self.hashes.get(task_id, {}).get("unique_key", b"").decode(), task_id)
            del self.sets["archived"][task_id]
            self.hashes.pop(task_id, None)

    # -- upkeep -----------------------------------------------------------------------------------------

    def forward(self, now: int, now_ns: int) -> int:
        counts = []
        for waiting in (self.sets["scheduled"], self.sets["retry"]):
            due = [task_id for task_id, at in _ordered(waiting) if at <= now][: self.limits.forward_batch]
            for task_id in due:
                del waiting[task_id]
                fields = self.hashes.get(task_id, {})
                group = fields.get("group", b"").decode()
                if "msg" not in fields:
                    self.hashes.pop(task_id, None)
                elif group:
                    self._wait_in(group, task_id, now)
                    self._set(task_id, state=b"aggregating")
                else:
                    self._push(task_id, now_ns)
            counts.append(len(due))
        return max(counts)

    def recover(self, ended_by: float, now_ns: int) -> list[str]:
        over = [(score, task_id) for task_id, score in self.lease_scores() if score <= ended_by]
        recovered = []
        for _, task_id in sorted(over, reverse=True)[: self.limits.recover_batch]:
            del self.lease[task_id]
            was_active = task_id in self.active
            self.active = [other for other in self.active if other != task_id]
            fields = self.hashes.get(task_id, {})
            if "msg" not in fields:
                self.hashes.pop(task_id, None)
            elif was_active or fields.get("state") == b"active":
                self._push(task_id, now_ns, first=True)
                self._set(task_id, crashes=str(int(fields.get("crashes", 0)) + 1).encode())
                recovered.append(task_id)
        return recovered

    def strays(self) -> list[str]:
        return [task_id for task_id in self.active if task_id not in self.lease]

    def reclaim(self, ids: Sequence[str], now_ns: int) -> list[str]:
        reclaimed: list[str] = []
        for task_id in reversed(ids):
            if task_id in self.lease or task_id not in self.active:
                continue
            self.active.remove(task_id)
            fields = self.hashes.get(task_id, {})
            if "msg" not in fields:
                self.hashes.pop(task_id, None)
            elif fields.get("state", b"active") in (b"active", b"pending"):
                self._push(task_id, now_ns, first=True)
                reclaimed.insert(0, task_id)
        return reclaimed

    def expire(self, now: int, batch: int) -> int:
        completed = self.sets["completed"]
        over = [task_id for task_id, at in _ordered(completed) if at <= now][:batch]
        for task_id in over:
            del completed[task_id]
            self.hashes.pop(task_id, None)
        return len(over)

    # -- groups -----------------------------------------------------------------------------------------

    def due_groups(self, now: int, *, grace: int, delay: int | None, size: int) -> set[str]:
        return {group for group in self.listed_groups if self._due(group, now, grace, delay, size)}

    def _due(self, group: str, now: int, grace: int, delay: int | None, size: int) -> int:
        scores = sorted(self.groups.get(group, {}).values())
        is_due = bool(scores) and (
            (size > 0 and len(scores) >= size)
            or (delay is not None and scores[0] <= now - delay)
            or scores[-1] <= now - grace
        )
        return len(scores) if is_due else 0

    def take_set(self, group: str, key: str, now: int, *, grace: int, delay: int | None, size: int) -> int:
        count = min(self._due(group, now, grace, delay, size), size or self.limits.group_set)
        if count:
            first = _ordered(self.groups[group])[:count]
            self.taken[key] = dict(first)
            self.taken_until[key] = now + self.limits.aggregation_time
            for task_id, _ in first:
                self._leave_group(group, task_id)
        return count

    def _leave_group(self, group: str, task_id: str) -> None:
        del self.groups[group][task_id]
        if not self.groups[group]:
            del self.groups[group]

    def read_set(self, key: str) -> list[tuple[str, bytes]]:
        members = _ordered(self.taken.get(key, {}))
        return [(task_id, self._aggregated(task_id)) for task_id, _ in members]

    def _aggregated(self, task_id: str) -> bytes:
        fields = self.hashes.get(task_id, {})
        return fields.get("msg", b"") if fields.get("state") == b"aggregating" else b""

    def set_aside(self, key: str, tasks: Sequence[tuple[str, bytes]], now: int) -> int:
        count = 0
        for task_id, message in tasks:
            if task_id in self.taken.get(key, {}):
                self._leave_set(key, task_id)
                self.sets["archived"][task_id] = now
                self._set(task_id, msg=message, state=b"archived")
                count += 1
        return count

    def _leave_set(self, key: str, task_id: str) -> None:
        del self.taken[key][task_id]
        if not self.taken[key]:
            del self.taken[key]

    def finish_set(
        self, key: str, group: str, size: int, aggregate: tuple[New, str, int, str] | None,
        locks: Sequence[tuple[str, str]], now_ns: int,
    ) -> int:  # fmt: skip
        members = _ordered(self.taken.get(key, {}))
        if len(members) != size or key not in self.taken_until:
            return -2
        is_last = group not in self.groups
        ours = [task_id for task_id, _ in members if self._state(task_id) == b"aggregating"]
        held = {task_id: self.hashes.get(task_id, {}).get("unique_key", b"").decode() for task_id in ours}
        held.update(locks)
        if aggregate is not None:
            new, state, score, into = aggregate
            answer = self._admit(new, repeated=False)
            if answer < 1:
                return answer
            self._store(new, state, into)
            if state == "pending":
                self._push(new.id, now_ns)
            elif state == "scheduled":
                self.sets["scheduled"][new.id] = score
            else:
                self._wait_in(into, new.id, score)
                is_last = is_last and into != group
        for task_id in ours:
            self.hashes.pop(task_id, None)
            self._unlock(held.get(task_id, ""), task_id)
        self.taken.pop(key, None)
        del self.taken_until[key]
        if is_last:
            self.listed_groups.discard(group)
        return 1

    def _state(self, task_id: str) -> bytes | None:
        return self.hashes.get(task_id, {}).get("state")

    def give_up(self, key: str, now: int) -> None:
        if key in self.taken_until:
            self.taken_until[key] = now

    def reclaim_sets(self, now: int, group_prefix: str) -> int:
        total = 0
        while (count := self.reclaim_some(now, group_prefix)) >= 0:
            total += count
        return total

    def reclaim_some(self, now: int, group_prefix: str) -> int:
        """A step of it: some tasks of the oldest set go back. Returns how many left it; -1: there is none."""
        over = [key for key, until in _ordered(self.taken_until) if until <= now]
        if not over:
            return -1
        key, group = over[0], over[0].removeprefix(group_prefix).rpartition(":")[0]
        some = _ordered(self.taken.get(key, {}))[: self.limits.reclaim_batch]
        for task_id, score in some:
            self._leave_set(key, task_id)
            if task_id in self.hashes:
                self._wait_in(group, task_id, score)
        if key not in self.taken:
            del self.taken_until[key]
        return len(some)

    # -- by hand ----------------------------------------------------------------------------------------

    def run_task(self, task_id: str, now_ns: int) -> str:
        answer = self._take(task_id, "pending")
        if answer == "OK":
            self._push(task_id, now_ns)
        return answer

    def archive_task(self, task_id: str, now: int) -> str:
        answer = self._take(task_id, "archived")
        if answer == "OK":
            self._put_aside(task_id, now)
            self._trim(now, 2 * self.limits.inspect_batch)
        return answer

    def delete_task(self, task_id: str, named_lock: str) -> str:
        answer = self._take(task_id, "deleted")
        if answer == "OK":
            lock = self.hashes[task_id].get("unique_key", named_lock.encode()).decode()
            self._unlock(lock, task_id)
            del self.hashes[task_id]
        return answer

    def _put_aside(self, task_id: str, now: int) -> None:
        self.sets["archived"][task_id] = now
        self._set(task_id, state=b"archived")
        self.hashes[task_id].pop("pending_since", None)

    def _take(self, task_id: str, goal: str) -> str:
        """Take a task out of where it waits."""
        fields = self.hashes.get(task_id, {})
        state = fields.get("state", b"").decode()
        group = fields.get("group", b"").decode()
        if "msg" not in fields:
            return "GONE"
        if state == "active":
            return "ACTIVE"
        if state == goal:
            return "ALREADY"
        if state == "pending":
            if task_id not in self.pending:
                return "ELSEWHERE"
            self.pending = [other for other in self.pending if other != task_id]
        elif state == "aggregating":
            if task_id not in self.groups.get(group, {}):
                return "AGGREGATING"
            self._leave_group_for_good(group, task_id)
        elif task_id not in self.sets[state]:
            return "ELSEWHERE"
        else:
            del self.sets[state][task_id]
        return "OK"

    def _leave_group_for_good(self, group: str, task_id: str) -> None:
        self._leave_group(group, task_id)
        if group not in self.groups:
            self.listed_groups.discard(group)

    def run_all(self, state: str, group: str, now_ns: int) -> int:
        return self._all(state, group, lambda: self.run_some(state, group, now_ns))

    def run_some(self, state: str, group: str, now_ns: int) -> tuple[int, int]:
        """A step of it. Returns how many left their place, and how many of them are tasks; so do others."""
        step, ids = self._step(state, group)
        for task_id in ids:
            self._push(task_id, now_ns)
        return step, len(ids)

    def archive_all(self, state: str, group: str, now: int) -> int:
        return self._all(state, group, lambda: self.archive_some(state, group, now))

    def archive_some(self, state: str, group: str, now: int) -> tuple[int, int]:
        step, ids = self._step(state, group)
        for task_id in ids:
            self._put_aside(task_id, now)
        self._trim(now, 2 * self.limits.inspect_batch)
        return step, len(ids)

    def delete_all(self, state: str, group: str, named_locks: dict[str, str]) -> int:
        return self._all(state, group, lambda: self.delete_some(state, group, named_locks))

    def delete_some(self, state: str, group: str, named_locks: dict[str, str]) -> tuple[int, int]:
        step, ids = self._step(state, group)
        for task_id in ids:
            fields = self.hashes.pop(task_id, {})
            lock = fields.get("unique_key", b"").decode() or named_locks.get(task_id, "")
            self._unlock(lock, task_id)
        return step, len(ids)

    def _all(self, state: str, group: str, some: Callable[[], tuple[int, int]]) -> int:
        left, total = len(self._listed(state, group)), 0
        while left > 0:
            step, count = some()
            total += count
            left -= step
        return total

    def _step(self, state: str, group: str) -> tuple[int, list[str]]:
        step = min(self.limits.inspect_batch, len(self._listed(state, group)))
        return step, list(self._drain(state, group, step))

    def _listed(self, state: str, group: str) -> list[str]:
        if state == "pending":
            return list(self.pending)
        return [task_id for task_id, _ in _ordered(self._set_of(state, group))]

    def _set_of(self, state: str, group: str) -> dict[str, int]:
        """`state`: also "taken", then `group` is the key of the set."""
        match state:
            case "aggregating":
                return self.groups.get(group, {})
            case "taken":
                return self.taken.get(group, {})
            case _:
                return self.sets[state]

    def _drain(self, state: str, group: str, count: int) -> Iterator[str]:
        """Take what waits there, in its order, and tell those that are tasks; what is none is forgotten."""
        ids = self._listed(state, group)[:count]
        kinds = ["task" if "msg" in self.hashes.get(task_id, {}) else "lost" for task_id in ids]
        for task_id in ids:
            match state:
                case "pending":
                    self.pending.remove(task_id)
                case "aggregating":
                    self._leave_group_for_good(group, task_id)
                case "taken":
                    self._leave_set(group, task_id)
                case _:
                    del self.sets[state][task_id]
        for task_id, kind in zip(ids, kinds, strict=True):
            if task_id in self.lease:  # it runs, and is here by mistake
                continue
            if kind == "task":
                yield task_id
            else:
                self.hashes.pop(task_id, None)

    def update_payload(self, task_id: str, before: bytes, after: bytes, locks: tuple[str, str]) -> str:
        fields = self.hashes.get(task_id, {})
        if "msg" not in fields:
            return "GONE"
        if fields.get("state") != b"scheduled":
            return "STATE"
        if fields["msg"] != before:
            return "CHANGED"
        old, new = locks
        if old != new:
            if old in self.locks and self.locks[old].holder == task_id:
                if new in self.locks and self.locks[new].holder != task_id:
                    return "LOCKED"
                self.locks[new] = self.locks.pop(old)
            self._set(task_id, unique_key=new.encode())
        self._set(task_id, msg=after)
        return "OK"

    def pause(self, now: int) -> bool:
        if self.paused_at is not None:
            return False
        self.paused_at = now
        return True

    def unpause(self) -> bool:
        was_paused, self.paused_at = self.paused_at is not None, None
        return was_paused

    def remove(self, *, force: bool, named_locks: dict[str, str]) -> str:
        if self.active:
            return "ACTIVE"
        if force:
            for state in ("pending", *SETS):
                self.delete_all(state, "", named_locks)
            for group in list(self.listed_groups):
                self.delete_all("aggregating", group, named_locks)
            for key in list(self.taken_until):
                self.delete_all("taken", key, named_locks)
                del self.taken_until[key]
        else:
            in_groups = self.groups.keys() & self.listed_groups
            if self.pending or any(self.sets.values()) or self.taken_until or in_groups:
                return "NOT EMPTY"
        self.lease.clear()
        self.listed_groups.clear()
        self.counters.clear()
        self.counter_ends.clear()
        self.paused_at = None
        return "OK"

    # -- repairs, each by itself ------------------------------------------------------------------------

    def drop_ghosts(self, ids: Sequence[str]) -> int:
        """Take IDs without a message out of pending."""
        ghosts = [
            i
            for i in ids
            if i in self.pending and "msg" not in self.hashes.get(i, {}) and i not in self.lease
        ]
        self.pending = [task_id for task_id in self.pending if task_id not in ghosts]
        for task_id in ghosts:
            self.hashes.pop(task_id, None)
        return len(ghosts)

    def mend_leases(self, ids: Sequence[str], now: float, now_ns: int) -> int:
        scores = dict(self.lease_scores())
        mended = 0
        for task_id in ids:
            fields = self.hashes.get(task_id, {})
            waits = "msg" in fields and fields.get("state") != b"active"
            if task_id in scores and task_id not in self.active and (scores[task_id] <= now or waits):
                mended += 1
                del self.lease[task_id]
                if "msg" in fields and not waits:
                    self._push(task_id, now_ns, first=True)
        return mended

    def free_locks(self, keys: Sequence[str], named_locks: dict[str, str]) -> int:
        """Free those whose holders do not name them."""
        freed = 0
        for key in keys:
            holder = self.locks[key].holder if key in self.locks else ""
            held = (self.hashes.get(holder, {}).get("unique_key", b"").decode(), named_locks.get(holder))
            if holder and key not in held:
                del self.locks[key]
                freed += 1
        return freed

    def mend_lost(self, ids: Sequence[str], now: int, now_ns: int) -> int:
        lost = [task_id for task_id in ids if task_id in self.hashes and not self._is_anywhere(task_id)]
        for task_id in lost:
            fields = self.hashes[task_id]
            state, group = fields.get("state", b"").decode(), fields.get("group", b"").decode()
            if "msg" not in fields:
                del self.hashes[task_id]
            elif state in ("archived", "completed"):
                self.sets[state][task_id] = now
            elif state == "aggregating" and group:
                self._wait_in(group, task_id, now)
            else:
                self._push(task_id, now_ns, first=True)
        return len(lost)

    def _is_anywhere(self, task_id: str) -> bool:
        places = (*self.sets.values(), *self.groups.values(), *self.taken.values())
        return any(task_id in place for place in (self.pending, self.active, self.lease, *places))

    # -- looking ----------------------------------------------------------------------------------------

    def lease_scores(self) -> Iterator[tuple[str, float]]:
        for task_id, (ends_at, token) in self.lease.items():
            yield task_id, float(f"{ends_at}.{token:06d}")

    def ids(self) -> set[str]:
        """Every ID that is anywhere."""
        in_sets = chain.from_iterable((*self.sets.values(), *self.groups.values(), *self.taken.values()))
        return {*self.hashes, *self.pending, *self.active, *self.lease, *in_sets}


def _ordered(scores: dict[str, int]) -> list[tuple[str, int]]:
    """As a sorted set orders: by score, then by name."""
    return sorted(scores.items(), key=lambda item: (item[1], item[0].encode()))


def _by_place(places: Sequence[int], count: int) -> list[int]:
    return [int(i in places) for i in range(count)]
